"""A name that tells where a feature fires scores so, and one that tells nothing does not."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from pipeline.labels.judged_names import judged_names
from pipeline.naming.answers import NamingAnswer
from pipeline.naming.cases import FeatureCase
from pipeline.naming.protocol import Claim
from pipeline.naming.rubric import RubricNamer
from pipeline.naming.scoring import Named, name_groups, named, summary
from store.datasets.groups import open_dataset, write_dataset
from store.schema.names import NAME_STATUSES, NAMES
from tests.support.naming import plant


def by_rule(cases: Sequence[FeatureCase]) -> list[Named]:
    namer = RubricNamer()
    namer.prepare([case for case in cases if case.shown])
    return named(cases, namer, confidence=0.95, seed=0)


def test_a_feature_of_one_token_is_named_by_it_and_its_name_tells_all() -> None:
    cases = plant(50, on_a_token=True).cases()
    found = by_rule(cases)
    for token, each in enumerate(found, start=1):
        assert (each.status, each.name) == ("scored", f'fires on "word{token}"')
        assert each.score.balanced_accuracy == 1.0
        assert each.score.low > 0.5
    # Whoever goes by another feature's token says "no" of all: right of half.
    assert np.mean([each.shuffled for each in found]) == pytest.approx(0.5, abs=0.01)
    assert len(judged_names(name_groups(cases, {"rubric": found})["names"])) == 50


def test_features_that_fire_anywhere_get_names_that_tell_nothing() -> None:
    n = 400
    cases = plant(n, on_a_token=False).cases()
    found = by_rule(cases)
    accuracy = np.array([each.score.balanced_accuracy for each in found])
    assert accuracy.mean() == pytest.approx(0.5, abs=0.02)
    above = len(judged_names(name_groups(cases, {"rubric": found})["names"]))
    assert above <= binom.ppf(0.999, n, 0.025)


class Guesser(RubricNamer):
    """Names as the rubric does, and guesses: the worst case, where answers do vary."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._rng = np.random.default_rng(seed)

    def predictions(self, claims: Sequence[Claim]) -> list[NamingAnswer]:
        return [
            NamingAnswer(
                status="judged", fires=tuple(map(bool, self._rng.integers(2, size=len(claim.contexts))))
            )
            for claim in claims
        ]


def test_of_guesses_no_more_hold_than_their_interval_allows() -> None:
    n, above = 400, 0
    cases = plant(n, on_a_token=False).cases()
    for seed in range(3):
        namer = Guesser(seed)
        namer.prepare(cases)
        found = named(cases, namer, confidence=0.95, seed=0)
        above += len(judged_names(name_groups(cases, {"rubric": found})["names"]))
        assert np.mean([each.score.balanced_accuracy for each in found]) == pytest.approx(0.5, abs=0.03)
    assert above <= binom.ppf(0.999, 3 * n, 0.025)


def test_what_is_not_scored_says_why(tmp_path: Path) -> None:
    cases = plant(5, on_a_token=True).cases()
    cases[0] = replace(cases[0], shown=(), held_out=())
    cases[1] = replace(cases[1], held_out=())

    class Fails(RubricNamer):
        def names(self) -> list[NamingAnswer]:
            first, _, *others = super().names()
            return [first, NamingAnswer(status="refused", detail="no"), *others]

        def predictions(self, claims: Sequence[Claim]) -> list[NamingAnswer]:
            own, _, *control = super().predictions(claims)
            assert len(control) == 2
            return [own, NamingAnswer(status="malformed", detail="what?"), *control]

    namer = Fails()
    namer.prepare(cases[1:])
    found = named(cases, namer, confidence=0.95, seed=0)
    assert [each.status for each in found] == ["no contexts", "unscored", "refused", "scored", "malformed"]
    assert [each.name for each in found] == [
        "",
        'fires on "word2"',
        "",
        'fires on "word4"',
        'fires on "word5"',
    ]
    assert [each.detail for each in found] == ["", "", "no", "", "what?"]
    told = summary(found, namer)
    assert {status: told[status] for status in NAME_STATUSES} == {
        "scored": 1, "unscored": 1, "no contexts": 1, "refused": 1, "malformed": 1, "unreachable": 0,
    }  # fmt: skip
    assert (told["above_control"], told["balanced_accuracy"]) == (1, 1.0)
    write_dataset(tmp_path / "names", NAMES, name_groups(cases, {"a": found, "b": found}), provenance={})
    table = open_dataset(tmp_path / "names", "names")
    assert table["name"].values.tolist() == [[each.name for each in found]] * 2
    assert list(judged_names(table)) == [cases[3].feature]


def test_no_judge_and_no_feature_are_a_dataset_too(tmp_path: Path) -> None:
    for place, cases in enumerate([[], plant(2, on_a_token=True).cases()]):
        path = tmp_path / str(place)
        write_dataset(path, NAMES, name_groups(cases, {}), provenance={})
        assert judged_names(open_dataset(path, "names")) == {}
    found = by_rule([])
    write_dataset(tmp_path / "names", NAMES, name_groups([], {"rubric": found}), provenance={})
    assert judged_names(open_dataset(tmp_path / "names", "names")) == {}
