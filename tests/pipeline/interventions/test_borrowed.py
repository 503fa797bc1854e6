"""Numbers from other passes: each where it belongs."""

import numpy as np
import pytest

from pipeline.interventions.borrowed import mean, patch, resample
from pipeline.interventions.engine import SteeringEngine
from pipeline.models.pool import ModelPool
from store.base.errors import UserError
from store.documents.manifest import Manifest

FEATURES = [(0, 1), (1, 2), (0, 3)]
OTHER = {layer: np.arange(20.0).reshape(5, 4) + 100 * layer for layer in range(2)}
THIRD = {layer: 1000 + np.arange(12.0).reshape(3, 4) + 100 * layer for layer in range(2)}


def test_a_patch_reads_each_position_of_the_other_prompt() -> None:
    first, second, third = patch(FEATURES, OTHER, [7, 2], at=[1, 4])
    assert (first.mode, first.where, first.value) == ("patch", (7, 2), (5.0, 17.0))
    assert second.value == (106.0, 118.0)
    assert (third.layer, third.feature, third.value) == (0, 3, (7.0, 19.0))
    assert patch(FEATURES[:1], OTHER, [2, 0])[0].value == (9.0, 1.0)


def test_a_mean_leaves_bos_out() -> None:
    (one,) = mean(FEATURES[:1], [OTHER, THIRD], [3, 4])
    expected = np.mean([5, 9, 13, 17, 1005, 1009])
    assert (one.mode, one.value) == ("mean", (expected, expected))


def test_resampled_features_come_from_one_place_together() -> None:
    where = list(range(40))
    first, second, third = resample(FEATURES, [OTHER, THIRD], where, seed=1)
    values = np.array([first.value, second.value, third.value])
    np.testing.assert_array_equal(values[1], values[0] + 101)
    np.testing.assert_array_equal(values[2], values[0] + 2)
    assert set(values[0]) == {5.0, 9.0, 13.0, 17.0, 1005.0, 1009.0}
    assert resample(FEATURES, [OTHER, THIRD], where, seed=1)[0] == first
    assert resample(FEATURES, [OTHER, THIRD], where, seed=2)[0] != first


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: patch(FEATURES, OTHER, [1, 2], at=[1]), "2 positions take values from 1"),
        (lambda: patch(FEATURES, OTHER, [5]), r"Positions \[5\] are not all within 0 to 4 of the other"),
        (lambda: patch(FEATURES, OTHER, [-1]), "within 0 to 4"),
        (lambda: mean(FEATURES, [], [1]), "no token to take a mean over"),
        (lambda: mean(FEATURES, [{0: np.ones((1, 4)), 1: np.ones((1, 4))}], [1]), "more than BOS"),
        (lambda: patch([(2, 3)], OTHER, [1]), r"Layer 2 is not among .*\[0, 1\]"),
        (lambda: patch([(0, 4)], OTHER, [1]), "features 0 to 3, and no 4"),
        (lambda: patch([(0, -1)], OTHER, [1]), "features 0 to 3, and no -1"),
        (lambda: mean([(2, 3)], [OTHER], [1]), "Layer 2"),
        (lambda: mean([(0, 9)], [OTHER], [1]), "no 9"),
        (lambda: resample([(2, 3)], [OTHER], [1], seed=0), "Layer 2"),
        (lambda: resample([(0, -2), (0, 1)], [OTHER], [1], seed=0), "no -2"),
        (lambda: resample(FEATURES, [], [1], seed=0), "no prompt to draw"),
        (lambda: resample(FEATURES, [OTHER], [1], seed=0, zeroed=5), "no token to draw activations from"),
    ],
)
def test_what_is_not_there_is_one_sentence(call: object, says: str) -> None:
    with pytest.raises(UserError, match=says):
        call()  # type: ignore[operator]


def test_features_of_one_variant_in_another(manifest: Manifest, ids: tuple[int, ...]) -> None:
    """Layer by layer from the first, all features of the adapted model make base's features its own."""
    pool, where = ModelPool(manifest), range(1, len(ids))
    adapted = SteeringEngine(pool.replacement("general@1.0")).activations(ids, 0)
    engine = SteeringEngine(pool.replacement("base"))
    changed = np.flatnonzero((adapted != engine.activations(ids, 0)).any(axis=0)).tolist()
    assert changed
    setting = patch([(0, index) for index in changed], {0: adapted}, where)
    readings = engine.next_token(ids, setting, controls=0).readings
    for reading in readings:
        np.testing.assert_allclose(reading.after, adapted[1:, reading.intervention.feature], rtol=1e-6)
    assert any(reading.after != reading.before for reading in readings)
