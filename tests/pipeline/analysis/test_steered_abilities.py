"""What steering costs beside answers: the baseline's share less the entry's, within a side."""

import numpy as np

from pipeline.analysis.steered_abilities import CAPITALS, ability_group, told_right
from pipeline.analysis.steered_entries import Entry
from store.schema.steered import ABLATED, ADDED, BASELINE, FEATURE, STEERED

ENTRIES = [
    Entry(side=ADDED, kind=BASELINE),
    Entry(side=ADDED, kind=FEATURE, members=((0, 1),)),
    Entry(side=ADDED, kind=FEATURE, members=((0, 2),)),
    Entry(side=ABLATED, kind=FEATURE, members=((0, 1),)),
    Entry(side=ABLATED, kind=BASELINE),
]
TOLD = [
    {CAPITALS: np.array([True] * 4), "addition": np.array([True, True, False])},
    {CAPITALS: np.array([True, False, False, True]), "addition": np.array([False] * 3)},
    {},
    {CAPITALS: np.array([True] * 4), "addition": np.array([True] * 3)},
    {CAPITALS: np.array([False] * 4), "addition": np.array([True, False, False])},
]


def test_what_is_lost_is_the_baselines_of_the_same_side_less_the_entrys() -> None:
    right, lost = told_right(ENTRIES, TOLD, CAPITALS)
    np.testing.assert_allclose(right, [1.0, 0.5, np.nan, 1.0, 0.0])
    np.testing.assert_allclose(lost, [0.0, 0.5, np.nan, -1.0, 0.0])
    group = ability_group(ENTRIES, TOLD)
    assert group["ability"].values.tolist() == ["addition"]
    assert group["n_prompts"].values.tolist() == [3]
    np.testing.assert_allclose(group["ability_right"].values[:, 0], [2 / 3, 0.0, np.nan, 1.0, 1 / 3])
    np.testing.assert_allclose(group["ability_lost"].values[:, 0], [0.0, 2 / 3, np.nan, -2 / 3, 0.0])


def test_where_nothing_is_asked_nothing_is_lost() -> None:
    for entries in (ENTRIES, []):
        group = ability_group(entries, [{}] * len(entries))
        assert group.sizes == {"ability": 0, "entry": len(entries)}
        assert set(group.variables) == set(STEERED.groups["abilities"])
    assert np.isnan(told_right(ENTRIES[1:3], TOLD[1:3], CAPITALS)[1]).all(), (
        "there is nothing to compare with"
    )
