"""Which judge's name counts, and what goes before it."""

import numpy as np
import pytest
import xarray as xr

from pipeline.labels.feature_names import feature_names, promoted_names
from pipeline.labels.judged_names import JudgedName, judged_names
from store.schema.names import NAME_STATUSES


def table(**changes: object) -> xr.Dataset:
    """Two judges on one feature, L1/7: the second is right of more."""
    by = ("judge", "feature")
    values = {
        "name": [["a"], ["b"]],
        "balanced_accuracy": [[0.8], [0.9]],
        "low": [[0.6], [0.7]],
        "high": [[0.9], [1.0]],
        "shuffled_accuracy": [[0.5], [0.5]],
        "status": [["scored"], ["scored"]],
    } | changes
    codes = [[NAME_STATUSES.index(str(one)) for one in of] for of in values.pop("status")]  # type: ignore[attr-defined]
    return xr.Dataset(
        {
            "layer": ("feature", np.array([1], np.int16)),
            "index": ("feature", np.array([7], np.int32)),
            "n_contexts": ("feature", np.array([20], np.int32)),
            "status": (by, np.array(codes, np.int8)),
            **{
                name: (by, np.array(value, object if name == "name" else float))
                for name, value in values.items()
            },
        },
        coords={"judge": np.array(["first", "second"], object)},
    )


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "b"),
        ({"balanced_accuracy": [[0.9], [0.9]]}, "a"),
        ({"low": [[0.6], [0.5]]}, "a"),
        ({"shuffled_accuracy": [[0.5], [0.7]]}, "a"),
        ({"shuffled_accuracy": [[0.5], [np.nan]]}, "a"),
        ({"status": [["scored"], ["malformed"]]}, "a"),
        ({"low": [[0.45], [0.5]]}, None),
        ({"status": [["unscored"], ["no contexts"]]}, None),
    ],
)
def test_the_best_name_above_its_control_counts(changes: dict[str, object], name: str | None) -> None:
    found = judged_names(table(**changes))
    assert [each.name for each in found.values()] == ([] if name is None else [name])


def test_a_name_comes_with_what_it_is_worth() -> None:
    assert judged_names(table()) == {
        (1, 7): JudgedName(
            name="b",
            judge="second",
            balanced_accuracy=0.9,
            low=0.7,
            high=1.0,
            shuffled_accuracy=0.5,
            n_contexts=20,
        )
    }


def test_a_person_goes_before_a_judge_and_a_judge_before_what_is_promoted() -> None:
    cards = xr.Dataset(
        {
            "layer": ("feature", [1, 1, 1]),
            "index": ("feature", [7, 8, 9]),
            "promoted_token": (("feature", "rank"), [[0, 1], [1, -1], [-1, -1]]),
        }
    )
    promoted = promoted_names(cards, [" bet", " odds"])
    assert promoted == {(1, 7): "→ bet, odds", (1, 8): "→ odds", (1, 9): ""}
    judged = judged_names(table())
    assert feature_names({}, judged, promoted) == {**promoted, (1, 7): "b"}
    assert feature_names({(1, 7): "bets"}, judged, promoted)[1, 7] == "bets"
    assert feature_names({(0, 1): "elsewhere"}, {}, promoted) == {**promoted, (0, 1): "elsewhere"}
