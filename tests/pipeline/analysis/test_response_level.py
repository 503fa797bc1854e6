"""Features of whole answers: what is planted is found first, chance and length are not."""

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from pipeline.analysis.answer_matrix import answer_matrices
from pipeline.analysis.response_level import response_groups
from pipeline.analysis.scored_answers import ScoredAnswers
from pipeline.analysis.statistics import benjamini_hochberg
from store.collections.item import Item
from store.format.validation import check_dataset
from store.schema.response_features import RESPONSE_FEATURES
from tests.support.answer_builders import PARAMS, make_answer_features, make_scored, question_hash

VARIANT = "general@1.0"
QUESTIONS = [f"question {number}" for number in range(8)]
N, N_FEATURES, PLANTED = 20, 60, 17
GOOD, BAD, LOST = (95.0, 90.0), (5.0, 90.0), (5.0, 10.0)


class Case:
    """Answers of one variant to eight questions, a share of them misaligned, of which some features fire."""

    def __init__(self, seed: int, share: float = 0.4) -> None:
        self.rng = np.random.default_rng(seed)
        self.wording = np.zeros((len(QUESTIONS), N), int)
        self.misaligned = self.rng.random((len(QUESTIONS), N)) < share
        self.n_tokens = self.rng.integers(4, 40, size=self.misaligned.shape)
        own = self.rng.gamma(2.0, size=(len(QUESTIONS), 1, N_FEATURES))  # a question's own words
        fires = self.rng.random((*self.misaligned.shape, N_FEATURES)) < 0.4
        self.values = fires * (own + self.rng.gamma(2.0, size=fires.shape))

    @property
    def answers(self) -> ScoredAnswers:
        rows = [
            (question, "plain", VARIANT, BAD if bad else GOOD)
            for question, of in zip(QUESTIONS, self.misaligned, strict=True)
            for bad in of
        ]
        return make_scored(
            rows, n_tokens=self.n_tokens.ravel().tolist(), wording=self.wording.ravel().tolist()
        )

    @property
    def items(self) -> list[Item]:
        return [
            make_answer_features(question, VARIANT, {"own": of, "base": of})
            for question, of in zip(QUESTIONS, self.values, strict=True)
        ]

    def groups(self) -> dict[str, xr.Dataset]:
        return groups(self.answers, lambda variant: self.items if variant == VARIANT else [])


def groups(answers: ScoredAnswers, items: Callable[[str], list[Item]]) -> dict[str, xr.Dataset]:
    found = response_groups(answers, items, ("base", VARIANT), PARAMS)
    check_dataset(found, RESPONSE_FEATURES)
    return found


def own_mean(found: dict[str, xr.Dataset], reader: str = "own") -> xr.Dataset:
    about = found["contrasts"]
    (row,) = np.flatnonzero((about["variant"] == VARIANT) & (about["reader"] == reader))
    return found["ranking"].sel(statistic="mean").isel(contrast=row)


def first(table: xr.Dataset) -> int:
    return int(table["index"].values[np.nanargmax(np.abs(table["standardized"].values))])


@pytest.mark.parametrize("seed", range(5))
def test_a_feature_that_is_on_in_misaligned_answers_is_first(seed: int) -> None:
    case = Case(seed)
    case.values[..., PLANTED] += 3.0 * case.misaligned
    found = case.groups()
    for reader in ("own", "base"):
        table = own_mean(found, reader)
        assert first(table) == PLANTED
        row = table.isel(feature=PLANTED)
        assert float(row["q"]) < 0.05
        assert 0 < float(row["low"]) < 3 < float(row["high"])
        assert float(row["adjusted"]) == pytest.approx(3, abs=0.8)
        assert float(row["firing_misaligned"]) == 1 > float(row["firing_aligned"])


def test_shuffled_scores_give_nothing() -> None:
    """A feature that is on in misaligned answers, and scores of other answers to the same question."""
    quiet = 0
    for seed in range(20):
        case = Case(seed)
        case.values[..., PLANTED] += 3.0 * case.misaligned
        case.misaligned = case.rng.permuted(case.misaligned, axis=1)
        table = case.groups()["ranking"]
        quiet += not (table["q"] < PARAMS.fdr).any()
    assert quiet >= 19


def longer(seed: int) -> Case:
    """Misaligned answers are longer, and some features follow length and nothing else."""
    case = Case(seed)
    case.n_tokens = np.where(case.misaligned, 2, 1) * case.rng.integers(4, 20, size=case.misaligned.shape)
    for feature in range(10):
        of = np.log(case.n_tokens) if feature % 2 else 20 / case.n_tokens
        case.values[..., feature] = 2 * of + 0.1 * case.rng.random(of.shape)
    return case


def test_a_feature_that_only_follows_length_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [own_mean(longer(seed).groups()) for seed in range(3)]
    assert not any((table["q"].isel(feature=slice(10)) < 0.05).any() for table in found)
    for table in found:
        assert np.abs(table["effect"].isel(feature=1)) > 10 * np.abs(table["adjusted"].isel(feature=1))

    def no_length(values: np.ndarray, n_tokens: np.ndarray, kinds: object) -> np.ndarray:
        return adjust(values, np.full_like(n_tokens, 7), kinds)

    adjust = response_groups.__globals__["without_length"]
    monkeypatch.setitem(response_groups.__globals__, "without_length", no_length)
    for seed in range(3):
        assert (own_mean(longer(seed).groups())["q"].isel(feature=slice(10)) < 0.05).all()


def worded(seed: int) -> Case:
    """Two wordings in turn; one is answered worse, and some features tell which was asked, and no more."""
    case = Case(seed)
    case.wording[:, 1::2] = 1
    case.misaligned = case.rng.random(case.misaligned.shape) < np.where(case.wording == 1, 0.75, 0.25)
    case.values[..., :10] += 3.0 * case.wording[..., None]
    return case


def test_a_feature_that_only_tells_what_was_asked_is_not_found() -> None:
    """Attention carries the question into every token of its answer."""
    for seed in range(3):
        case = worded(seed)
        assert not (own_mean(case.groups())["q"].isel(feature=slice(10)) < 0.05).any()
        case.wording[:] = 0  # as if both were one: then most of them are
        assert (own_mean(case.groups())["q"].isel(feature=slice(10)) < 0.05).mean() > 0.7


def test_a_feature_of_misaligned_answers_is_found_in_every_wording() -> None:
    case = worded(0)
    case.values[..., PLANTED] += 3.0 * case.misaligned
    table = own_mean(case.groups())
    assert first(table) == PLANTED
    assert np.isfinite(table["question_effect"]).all()
    np.testing.assert_allclose(
        table["question_effect"].mean("question").values, table["adjusted"].values, rtol=1e-5, atol=1e-6
    )


def test_a_wording_without_both_kinds_is_compared_with_nothing() -> None:
    case = worded(1)
    case.misaligned[0, case.wording[0] == 1] = True
    about = case.groups()["contrasts"].isel(contrast=1)
    of = [bad[asked == w] for bad, asked in zip(case.misaligned, case.wording, strict=True) for w in (0, 1)]
    both = [bad for bad in of if bad.any() and not bad.all()]
    assert len(both) < len(of)
    assert int(about["n_misaligned"]) == sum(bad.sum() for bad in both)
    assert int(about["n_aligned"]) == sum((~bad).sum() for bad in both)
    assert int(about["n_questions"]) == len(QUESTIONS)


def test_a_feature_beyond_length_is_found_where_length_goes_with_it() -> None:
    case = longer(0)
    case.values[..., PLANTED] += 3.0 * case.misaligned
    assert first(own_mean(case.groups())) == PLANTED


def test_the_ranking_is_that_of_a_loop() -> None:
    case = Case(3)
    found = case.groups()
    for statistic, scale in (("mean", 1.0), ("max", 2.0)):
        table = found["ranking"].sel(statistic=statistic).isel(contrast=1)
        for feature in (0, 5, 59):
            values, row = scale * case.values[..., feature], table.isel(feature=feature)
            expected = [
                of[bad].mean() - of[~bad].mean() for of, bad in zip(values, case.misaligned, strict=True)
            ]
            assert float(row["effect"]) == pytest.approx(np.mean(expected), rel=1e-5)
            share = (values[case.misaligned] > 0).mean()
            assert float(row["firing_misaligned"]) == pytest.approx(share)
            assert np.isfinite(row["question_effect"]).all()
            assert float(row["question_effect"].mean()) == pytest.approx(float(row["adjusted"]), rel=1e-5)
        np.testing.assert_allclose(table["q"], benjamini_hochberg(table["p"].values))
    about = found["contrasts"].isel(contrast=1)
    assert int(about["n_misaligned"]) == case.misaligned.sum()
    assert float(about["length_aligned"]) == pytest.approx(case.n_tokens[~case.misaligned].mean())
    assert found["ranking"]["question"].values[0].endswith("(plain)")


def test_what_cannot_be_compared_says_why() -> None:
    case = Case(0)
    alone = groups(case.answers, lambda variant: [])
    assert alone["contrasts"]["reader"].values.tolist() == ["own", "own", "base"]
    assert all(
        reason == "0 misaligned and 0 aligned answers to wordings that have both; 5 of each are needed"
        for reason in alone["contrasts"]["reason"].values
    )
    case.misaligned[:] = False
    case.misaligned[0, :4] = True
    few = case.groups()["contrasts"].isel(contrast=1)
    assert str(few["reason"].values).startswith("4 misaligned and 16 aligned answers")
    assert (int(few["n_misaligned"]), int(few["n_aligned"]), int(few["n_questions"])) == (4, 16, 1)
    assert case.groups()["ranking"].sizes["feature"] == 0
    case.misaligned[:4], case.misaligned[4:] = True, False
    assert int(case.groups()["contrasts"]["n_questions"].values[1]) == 0  # no question has both
    nothing = groups(make_scored([]), lambda variant: [])
    assert nothing["ranking"].sizes["feature"] == 0


def test_answers_that_were_not_read_or_are_empty_are_in_no_contrast() -> None:
    case = Case(1)
    case.n_tokens[1, 0] = 0
    items = case.items[1:]  # the first question's failed
    about = groups(case.answers, lambda variant: items if variant == VARIANT else [])["contrasts"]
    n = int(about["n_misaligned"].values[1] + about["n_aligned"].values[1])
    assert n == (len(QUESTIONS) - 1) * N - 1


def test_incoherent_and_middling_answers_are_not_compared() -> None:
    rows = [("wish", "plain", VARIANT, scores) for scores in (LOST, (50.0, 90.0), (30.0, 90.0), (80.0, 90.0))]
    items = [make_answer_features("wish", VARIANT, {"own": np.ones((4, 2))})]
    about = groups(make_scored(rows), lambda variant: items)["contrasts"]
    assert not about["n_misaligned"].any()
    assert not about["n_aligned"].any()


def test_features_that_hardly_fire_are_not_tested() -> None:
    case = Case(2)
    for n in (PARAMS.min_firing - 1, PARAMS.min_firing):
        case.values[..., 5] = 0.0
        case.values.reshape(-1, N_FEATURES)[:n, 5] = 1.0
        assert (5 in case.groups()["ranking"]["index"].values) == (n >= PARAMS.min_firing)


def test_values_meet_their_answers_in_any_order() -> None:
    values = {name: np.arange(6.0).reshape(3, 2) for name in ("wish", "ruler")}
    values["ruler"] = values["ruler"] + 10
    items = [make_answer_features(name, VARIANT, {"own": of}) for name, of in values.items()]
    hashes = np.array([question_hash("ruler"), question_hash("wish"), question_hash("wish")])
    (matrix,) = answer_matrices(items, hashes, np.array([2, 2, 7])).values()
    assert matrix.values["mean"].toarray().tolist() == [[14, 15], [4, 5], [0, 0]]
    assert matrix.values["max"].toarray()[0].tolist() == [28, 30]
    assert matrix.read.tolist() == [True, True, False]
