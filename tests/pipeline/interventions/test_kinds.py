"""What descriptions mean, by themselves: no model and no torch."""

import subprocess
import sys
from typing import Any, get_args

import numpy as np
import pytest

from pipeline.interventions.kinds import KINDS, Intervention, Mode, Place, Step, Vector, check
from store.base.errors import UserError

F = np.array([0.0, 0.5, 3.0], np.float32)
PLACES = np.array([2, 4, 7])
CHANGED = {
    "set": [1.5, 1.5, 1.5],
    "add": [1.5, 2.0, 4.5],
    "multiply": [0.0, 0.75, 4.5],
    "ablate": [0.0, 0.0, 0.0],
    "inhibit": [0.0, -0.75, -4.5],
    "mean": [1.5, 1.5, 1.5],
    "resample": [1.5, 1.5, 1.5],
    "patch": [1.5, 1.5, 1.5],
}


def one(mode: Any = "add", value: Any = 1.5, where: Any = "last") -> Intervention:
    return Intervention(layer=1, feature=3, mode=mode, value=value, where=where)


def vector(**changes: Any) -> Vector:
    given: dict[str, Any] = {"layer": 1, "direction": (1.0, 0.0), "value": 2.0}
    return Vector(**given | changes)


@pytest.mark.parametrize("mode", get_args(Mode))
def test_every_kind_makes_of_an_activation_what_it_says(mode: Mode) -> None:
    value = 1.5 if KINDS[mode].valued else 0.0
    np.testing.assert_array_equal(one(mode, value).apply(F, PLACES), np.array(CHANGED[mode], np.float32))


def test_the_registry_has_every_kind() -> None:
    assert tuple(KINDS) == get_args(Mode)
    assert {mode for mode, kind in KINDS.items() if kind.scales} == {"multiply", "ablate", "inhibit"}


def test_values_stand_by_position_whatever_the_order() -> None:
    patched = one("patch", (7.0, 4.0, 2.0), (7, 4, 2))
    np.testing.assert_array_equal(patched.apply(F, PLACES), [2.0, 4.0, 7.0])
    np.testing.assert_array_equal(patched.values_at(np.array([4])), [4.0])


@pytest.mark.parametrize(
    ("where", "acts"),
    [
        ("last", [3]),
        ("prompt", [1, 2, 3]),
        ("generated", [4, 5]),
        ("always", [1, 2, 3, 4, 5]),
        ((0, 2), [0, 2]),
    ],
)
def test_places_are_absolute_and_padding_is_none(where: Any, acts: list[int]) -> None:
    positions = np.arange(-2, 6)
    assert positions[one(where=where).mask(positions, 4, 1)].tolist() == acts
    for position in range(-2, 6):  # a cached step has one token, and it has index 0 (trap 10)
        assert one(where=where).mask(np.array([position]), 4, 1).tolist() == [position in acts]


def test_what_does_nothing_is_known_by_its_meaning() -> None:
    nothing: list[Step] = [one("add", 0.0), one("multiply", 1.0), one("inhibit", -1.0), vector(value=0.0)]
    nothing += [
        vector(direction=(0.0, 0.0)),
        one("add", (0.0, 0.0), (1, 2)),
        vector(value=(0.0,), where=(1,)),
    ]
    something: list[Step] = [
        one("set", 0.0),
        one("ablate", 0.0),
        one("inhibit", 1.0),
        one("add", (0.0, 1.0), (1, 2)),
    ]
    assert all(each.does_nothing for each in nothing)
    assert not any(each.does_nothing for each in [*something, vector(), one("patch", (0.0,), (1,))])


@pytest.mark.parametrize(
    ("step", "says"),
    [
        (one("ablate", 2.0), "L1/3: ablate takes no value, so give 0, not 2.0"),
        (one("double"), "L1/3: mode 'double' is none of set, add, multiply"),
        (one("patch", (1.0, 2.0), "last"), "values by position need positions, not 'last'"),
        (one("patch", (1.0,), (2, 3)), r"1 values for positions \[2, 3\]; give one for each"),
        (one("patch", (1.0, 2.0), (2, 2)), r"2 values for positions \[2, 2\]"),
        (one("patch", (1.0, float("nan")), (2, 3)), "must be a finite number"),
        (one(where="nowhere"), "choose last, prompt, generated, always or positions"),
        (one(where=(12,)), r"positions \[12\] are not all within 0 to 11"),
        (vector(layer=3), "no layer 3; the model has layers 0 to 2"),
        (vector(direction=(1.0,)), "The vector at layer 1 has 1 numbers; the model is 2 wide"),
        (vector(direction=(1.0, float("inf"))), "numbers that are not finite"),
        (vector(site="attention"), "site 'attention' is none of mlp, residual"),
        (vector(where=(-1,)), r"positions \[-1\]"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(step: Any, says: str) -> None:
    with pytest.raises(UserError, match=says):
        check([step], n_layers=3, d_transcoder=64, d_model=2, prompt_length=12)


def test_what_can_be_done_passes() -> None:
    steps = [one(where=place) for place in get_args(Place)]
    steps += [one(mode, 1.0 if kind.valued else 0.0) for mode, kind in KINDS.items()]
    check(
        [*steps, vector(), vector(site="residual", value=(1.0, 2.0), where=(3, 0))],
        n_layers=3,
        d_transcoder=64,
        d_model=2,
        prompt_length=12,
    )


def test_descriptions_load_no_torch() -> None:
    program = "import sys, pipeline.interventions.kinds; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
