"""Kinds of answers dealt anew: against every way one by one, least squares, and what length explains."""

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.linalg import lstsq

from pipeline.analysis.kind_permutation import (
    Kinds,
    form_effects,
    permutation_p,
    permutation_sd,
    question_effects,
    stratum_effects,
    without_length,
)

SMALL = Kinds(
    misaligned=np.array([1, 0, 0, 1, 1, 0, 0, 1, 0, 0, 1, 0], bool),
    stratum=np.array([0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 3, 3]),
    form=np.array([0, 1, 2, 2]),  # two wordings of the third form
    question=np.array([0, 1, 1, 1]),  # two forms of the second question
)


def slow_effect(values: np.ndarray, misaligned: np.ndarray, kinds: Kinds) -> np.ndarray:
    """Straight from the definition: within a wording, over a form's, over a question's, over questions."""
    forms: dict[int, list[np.ndarray]] = {}
    for stratum, form in enumerate(kinds.form.tolist()):
        of = kinds.stratum == stratum
        forms.setdefault(form, []).append(
            values[of & misaligned].mean(axis=0) - values[of & ~misaligned].mean(axis=0)
        )
    questions: dict[int, list[np.ndarray]] = {}
    for form, wordings in forms.items():
        question = int(kinds.question[kinds.form == form][0])
        questions.setdefault(question, []).append(np.mean(wordings, axis=0))
    return np.mean([np.mean(of, axis=0) for of in questions.values()], axis=0)


def every_effect(values: np.ndarray, kinds: Kinds) -> np.ndarray:
    """(way, feature): of all ways to deal the kinds."""
    found = []
    pools = [np.flatnonzero(kinds.stratum == stratum) for stratum in range(len(kinds.question))]
    choices = [list(combinations(pool, int(kinds.misaligned[pool].sum()))) for pool in pools]
    for way in product(*choices):
        marks = np.zeros(len(values), bool)
        marks[[place for chosen in way for place in chosen]] = True
        found.append(slow_effect(values, marks, kinds))
    return np.array(found)


def centred(values: np.ndarray, kinds: Kinds) -> np.ndarray:
    found = values.copy()
    for stratum in np.unique(kinds.stratum):
        found[kinds.stratum == stratum] -= values[kinds.stratum == stratum].mean(axis=0)
    return found


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    """(answer, feature), coarse, so that sums tie."""
    return np.random.default_rng(0).integers(-3, 4, size=(12, 6)) / 2


def test_effects_are_means_over_questions_of_forms_of_wordings(values: np.ndarray) -> None:
    of_strata = stratum_effects(values, SMALL)
    of_forms, of_questions = form_effects(of_strata, SMALL), question_effects(of_strata, SMALL)
    assert (of_forms.shape, of_questions.shape) == ((3, 6), (2, 6))
    np.testing.assert_allclose(of_questions.mean(axis=0), slow_effect(values, SMALL.misaligned, SMALL))
    np.testing.assert_allclose(of_questions[0], of_strata[0])
    np.testing.assert_allclose(of_questions[1], of_forms[1:].mean(axis=0))
    np.testing.assert_allclose(of_forms[2], of_strata[2:].mean(axis=0))


def test_p_is_the_share_of_all_ways_and_sd_is_theirs(values: np.ndarray) -> None:
    ways = every_effect(values, SMALL)
    residual = centred(values, SMALL)
    observed = np.abs(slow_effect(values, SMALL.misaligned, SMALL))
    expected = (np.abs(ways) >= observed - 1e-9).mean(axis=0)
    found = permutation_p(residual, SMALL, len(ways), np.random.default_rng(0))
    np.testing.assert_allclose(found, expected)
    np.testing.assert_allclose(permutation_sd(residual, SMALL), ways.std(axis=0), rtol=1e-9)
    # And random ways come near it.
    random = permutation_p(residual, SMALL, len(ways) - 1, np.random.default_rng(0))
    assert np.abs(random - expected).max() < 0.15
    assert random.min() >= 1 / len(ways)


def test_blocks_of_features_and_of_ways_change_nothing(
    values: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    residual = centred(values, SMALL)
    whole = permutation_p(residual, SMALL, 50, np.random.default_rng(3))
    monkeypatch.setattr("pipeline.analysis.kind_permutation._BLOCK", 30)
    single = [
        permutation_p(residual[:, [column]], SMALL, 50, np.random.default_rng(3)) for column in range(6)
    ]
    np.testing.assert_array_equal(whole, np.concatenate(single))


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.booleans())
def test_length_is_taken_out_by_least_squares(seed: int, per_question: int, alike: bool) -> None:
    rng = np.random.default_rng(seed)
    stratum = np.repeat(np.arange(3), per_question)
    misaligned = np.tile(np.arange(per_question) == 0, 3)
    kinds = Kinds(misaligned=misaligned, stratum=stratum, form=np.arange(3), question=np.arange(3))
    n_tokens = np.full(len(stratum), 7) if alike else rng.integers(1, 30, len(stratum))
    values = rng.normal(size=(len(stratum), 4))
    dummies = (stratum[:, None] == np.arange(3)).astype(float)
    design = np.column_stack([dummies, np.log(n_tokens), 1 / n_tokens])
    expected = values - design @ lstsq(design, values, rcond=1e-10)[0]
    found = without_length(values, n_tokens, kinds)
    np.testing.assert_allclose(found, expected, atol=1e-7)


def test_what_length_explains_is_nothing_else() -> None:
    rng = np.random.default_rng(1)
    stratum = np.repeat(np.arange(4), 10)
    kinds = Kinds(misaligned=rng.random(40) < 0.5, stratum=stratum, form=np.arange(4), question=np.arange(4))
    n_tokens = rng.integers(3, 40, 40)
    once = (5.0 / n_tokens).astype(np.float32)  # a feature that fires on one token of each answer
    longest = (2 * np.log(n_tokens) + stratum).astype(np.float32)
    left = without_length(np.stack([once, longest], axis=1).astype(np.float64), n_tokens, kinds)
    assert not left.any()
    assert (permutation_p(left, kinds, 100, np.random.default_rng(0)) == 1).all()
    assert not permutation_sd(left, kinds).any()


def test_p_is_uniform_where_kinds_mean_nothing() -> None:
    """Also where answers to one question are alike, and questions have other shares of each kind."""
    rng = np.random.default_rng(2)
    stratum = np.repeat(np.arange(6), 12)
    misaligned = rng.random(72) < (0.2 + 0.1 * stratum)
    kinds = Kinds(misaligned=misaligned, stratum=stratum, form=np.arange(6), question=np.arange(6) // 2)
    values = 3 * rng.normal(size=(6, 2000))[stratum] + rng.normal(size=(72, 2000))
    p = permutation_p(centred(values, kinds), kinds, 999, rng)
    for level in (0.05, 0.2, 0.5):
        assert (p <= level).mean() == pytest.approx(level, abs=0.03)
