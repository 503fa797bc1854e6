"""Controls of a setting on many prompts: the same features everywhere, like its own, and moved by it."""

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.interventions.controls import NO_FEATURE, Acting, match_controls, match_over, same_done_to
from pipeline.interventions.kinds import Intervention, Vector


def one(mode: Any = "add", feature: int = 0, layer: int = 0, value: float = 2.0) -> Intervention:
    return Intervention(layer=layer, feature=feature, mode=mode, value=value)


def acting(*rows: np.ndarray, steps: int = 1) -> list[Acting]:
    """Prompts of one token, on which each step acts."""
    return [Acting(positions=[(0,)] * steps, activity={0: row[None], 1: row[None]}) for row in rows]


def match(*rows: np.ndarray, mode: Any = "add", n: int = 3, norms: np.ndarray | None = None) -> set[int]:
    own = np.ones(len(rows[0])) if norms is None else norms
    return set(match_over([one(mode)], acting(*rows), {0: own}, n=n, seed=0)[:, 0].tolist())


@given(seed=st.integers(0, 50), mode=st.sampled_from(["add", "multiply", "set", "ablate"]))
def test_of_one_prompt_it_is_what_one_prompt_has(seed: int, mode: Any) -> None:
    rng = np.random.default_rng(seed)
    activity = (rng.uniform(0.5, 2, 40) * (rng.random(40) < 0.6)).astype(np.float32)
    activity[0] = rng.choice([0.0, 1.0])
    norms = rng.uniform(0.5, 2, 40)
    value = 0.0 if mode == "ablate" else 2.0
    setting = [one(mode, value=value), one("add", feature=7, value=1.0)]
    prompts = acting(activity, steps=2)
    found = match_over(setting, prompts, {0: norms}, n=5, seed=3)
    alone = match_controls(setting, [(0,), (0,)], prompts[0].activity, {0: norms}, n=5, seed=3)
    assert tuple(same_done_to(setting, found, 3)) == alone.settings
    assert not set(found.ravel().tolist()) & {0, 7}


def test_they_are_active_as_often_and_as_much() -> None:
    """By the sum alone the one that is active once would be the nearest."""
    often = np.array([1.0, 0.0, 1.1, 1.0, 9.0])
    once = np.array([1.0, 2.0, 1.1, 0.2, 9.0])
    assert match(often, once, n=1) == {2}
    assert match(often, once, n=2) == {2, 3}
    assert match(often, once, n=9) == {1, 2, 3, 4}
    assert match(often, once, n=1, norms=np.array([1.0, 1.0, 9.0, 1.0, 1.0])) == {3}
    # Inactive ones beside an active one are none, nor the other way round.
    assert match(np.array([0.0, 1.0, 0.0])) == {2}
    assert match(np.array([1.0, 1.0, 0.0])) == {1}


def test_what_the_same_moves_on_no_prompt_is_none() -> None:
    moved = np.array([1.0, 2.0, 1.0])
    assert match(moved, moved, mode="set") == {2}, "feature 1 is at the value already"
    assert match(moved, np.array([1.0, 1.0, 1.0]), mode="set") == {1, 2}, "on one prompt it is not"


def test_nothing_stands_beside_what_acts_nowhere() -> None:
    nowhere = [Acting(positions=[()], activity={0: np.ones((1, 4))})]
    assert match_over([one()], nowhere, {0: np.ones(4)}, n=3, seed=0).shape == (0, 1)
    assert match_over([one()], [], {0: np.ones(4)}, n=3, seed=0).shape == (0, 1)


def test_directions_are_drawn_anew_and_as_long() -> None:
    along = Vector(layer=1, direction=(3.0, 4.0), value=2.0)
    setting = [one(), along, one("multiply")]
    found = match_over(setting, acting(np.ones(6), steps=3), {0: np.ones(6)}, n=4, seed=1)
    assert found.dtype == np.int32
    assert (found[:, 1] == NO_FEATURE).all()
    np.testing.assert_array_equal(found[:, 0], found[:, 2])
    settings = same_done_to(setting, found, 1)
    directions = {each[1].direction for each in settings}
    assert len(directions) == len(settings) == 4
    np.testing.assert_allclose([np.linalg.norm(each) for each in directions], 5.0)
    assert same_done_to(setting, found, 1) == settings
    assert match_over([along], acting(np.ones(6)), {}, n=4, seed=1).tolist() == [[NO_FEATURE]] * 4


def test_a_step_that_acts_on_no_prompt_stays_and_takes_no_control_away() -> None:
    setting = [one(), replace(one(feature=5), where="generated")]
    prompts = [Acting(positions=[(0,), ()], activity={0: np.ones((1, 8))})]
    found = match_over(setting, prompts, {0: np.ones(8)}, n=2, seed=0)
    assert found[:, 1].tolist() == [5, 5]
    assert len({*found[:, 0].tolist()} - {0, 5}) == 2
