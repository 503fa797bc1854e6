"""A feature against its controls: exact where they are the same everywhere, level where it is one of them."""

import numpy as np
import pytest

from pipeline.analysis.against_controls import NONE, mean_of_controls, rank_p, share_as_extreme


def p_of(effect, controls, index, situation=None) -> float:
    effect = np.asarray(effect, np.float64)
    situation = np.arange(len(effect)) if situation is None else np.asarray(situation)
    return rank_p(effect, np.asarray(controls, np.float64), np.asarray(index), situation)


def test_with_the_same_controls_everywhere_it_is_one_among_all() -> None:
    """However large the effect and however many the prompts."""
    controls = np.tile(np.arange(1.0, 20.0), (12, 1))
    index = np.tile(np.arange(19), (12, 1))
    assert p_of(np.full(12, 100.0), controls, index) == pytest.approx(1 / 20)
    for sign in (1, -1):
        assert p_of(np.full(12, sign * 15.5), controls, index) == pytest.approx(5 / 20)
        assert p_of(np.full(12, 15.5), sign * controls, index) == pytest.approx(5 / 20)
    assert p_of(np.zeros(12), controls, index) == 1.0


@pytest.mark.parametrize("pool", [22, 60])
@pytest.mark.parametrize("noise", [0.5])
def test_of_a_feature_like_its_controls_p_is_level(pool: int, noise: float) -> None:
    """Consistent over prompts, as features are: means of controls drawn prompt by prompt are not."""
    rng = np.random.default_rng(1)
    found, naive = [], []
    for _ in range(60):
        effects = rng.normal(size=pool) + noise * rng.normal(size=(12, pool))
        index = np.array([rng.choice(np.arange(1, pool), 20, replace=False) for _ in range(12)])
        controls = np.take_along_axis(effects, index, axis=1)
        found.append(p_of(effects[:, 0], controls, index))
        drawn = rng.permuted(controls, axis=1).mean(axis=0)
        naive.append((1 + np.sum(np.abs(drawn) >= abs(effects[:, 0].mean()))) / 21)
    found, naive = np.array(found), np.array(naive)
    for level in (0.05, 0.1, 0.25):
        assert np.mean(found <= level) <= level + 2.5 * np.sqrt(level / 60)
    if pool > 22:
        assert np.mean(naive <= 0.05) > 0.2, "which is why it is not done so"


def test_a_control_counts_where_it_is_one() -> None:
    """By its mean there: 5 stands on two prompts, 6 on three, 7 on one; prompts without any are left out."""
    controls = np.array([[1.0, 2.0], [2.0, -2.0], [4.0, 3.0]])
    index = np.array([[5, 6], [5, 6], [7, 6]])
    assert p_of([9.0, 9.0, 9.0], controls, index) == pytest.approx(1 / 4)
    assert p_of([3.0, 3.0, -1.0], controls, index) == pytest.approx(2 / 4), "7 does more on average"
    assert p_of([1.4, 1.4, 1.4], controls, index) == pytest.approx(3 / 4), "and 5"
    assert p_of([0.9, 0.9, 0.9], controls, index) == 1.0, "and 6, whose signs differ"
    lacking = np.array([[5, 6], [5, 6], [NONE, NONE]])
    controls[2] = np.nan
    assert p_of([1.6, 1.6, -99.0], controls, lacking) == pytest.approx(1 / 3)
    assert np.isnan(p_of([1.0], controls[2:], lacking[2:]))


def test_prompts_of_a_situation_count_once() -> None:
    """One prompt against three of another situation: the mean of means decides."""
    controls, index, effect = np.array([[2.4], [0], [0], [0]]), np.full((4, 1), 7), np.ones(4)
    assert p_of(effect, controls, index, situation=[0, 1, 1, 1]) == 1.0
    assert p_of(effect, controls, index, situation=[0, 1, 2, 3]) == 0.5


def test_a_share_of_controls() -> None:
    controls = np.array([[1.0, -3.0, np.nan], [np.nan, np.nan, np.nan], [0.5, 0.5, 0.5]])
    found = share_as_extreme(np.array([-2.0, 1.0, 0.5]), controls)
    np.testing.assert_allclose(found, [2 / 3, np.nan, 1.0])


def test_controls_are_averaged_over_the_situations_of_the_effect() -> None:
    """They do nothing where the feature does nothing; two prompts of a situation count once."""
    controls = np.full((3, 4, 2), np.nan)
    controls[0, :2] = [[1.0, 3.0], [2.0, np.nan]]
    controls[1, :3] = 2.0
    acts = np.zeros((3, 4), bool)
    acts[0, :2], acts[1] = True, True
    found = mean_of_controls(controls, acts, np.array([0, 0, 1, 2]))
    np.testing.assert_allclose(found, [2 / 3, 2.0, np.nan])
