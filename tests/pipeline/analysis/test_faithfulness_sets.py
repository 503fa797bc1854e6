"""Which features are held, in which order: by score, at random, matched; and what is known of them."""

import numpy as np
import xarray as xr

from pipeline.analysis.faithfulness_sets import (
    Moved,
    matched_orders,
    means_of_moved,
    ordered,
    random_orders,
    response_scores,
)


def test_response_scores_are_those_of_the_variants_own_answers() -> None:
    contrasts = xr.Dataset(
        {
            "variant": ("contrast", np.array(["other", "general@1.0", "general@1.0"], object)),
            "reader": ("contrast", np.array(["own", "base", "own"], object)),
        }
    )
    values = np.arange(12.0).reshape(3, 2, 2)  # (contrast, statistic, feature)
    ranking = xr.Dataset(
        {
            "statistic": ("statistic", np.array(["max", "mean"], object)),
            "layer": ("feature", np.array([1, 0])),
            "index": ("feature", np.array([7, 3])),
            "adjusted": (("contrast", "statistic", "feature"), values),
            "effect": (("contrast", "statistic", "feature"), 100 + values),
        }
    )
    layer, index = np.array([0, 1, 2]), np.array([3, 7, 7])
    found = response_scores(contrasts, ranking, "general@1.0", layer, index)
    np.testing.assert_array_equal(found, [values[2, 1, 1], values[2, 1, 0], np.nan])
    assert np.isnan(response_scores(contrasts, ranking, "narrow@1.0", layer, index)).all()


def test_orders_are_by_score_and_activations_by_size() -> None:
    score = np.array([0.5, -2.0, np.nan, 1.0, 0.5])
    allowed = np.array([True, True, True, True, False])
    assert ordered("direct", score, allowed, 9).tolist() == [3, 0, 1]
    assert ordered("activation", score, allowed, 2).tolist() == [1, 3]
    assert all(set(order) <= {0, 1, 2, 3} for order in random_orders(allowed, 5, 3, 0))


def test_matched_features_move_as_far_in_the_same_layer() -> None:
    rng = np.random.default_rng(0)
    layer, moved = np.repeat([0, 1], 100), np.exp(rng.normal(size=200))
    moved[::10] = 0.0
    allowed = np.ones(200, bool)
    allowed[5] = False
    first = np.array([7, 120, 10, 33, 199])
    for draw in matched_orders(first, layer, moved, allowed, 8, 3, 0):
        assert len(set(draw)) == len(draw) == len(first)
        assert (layer[draw] == layer[first]).all()
        assert not set(draw) & {5, 7, 120, 10}, "neither left out nor among the first"
        assert ((moved[draw] == 0) == (moved[first] == 0)).all()
        far = np.abs(np.log(moved[draw][moved[first] > 0] / moved[first][moved[first] > 0]))
        assert (far < 1.0).all()
    # A layer of one has no other.
    assert matched_orders(np.array([0]), np.array([0]), np.ones(1), np.ones(1, bool), 1, 1, 0)[0].size == 0


def test_matches_are_drawn_among_the_nearest_of_all_put_in_order() -> None:
    """Many of one length, and 21 of which the last two are as far: chance says which of them is near."""
    rng = np.random.default_rng(0)
    moved = np.concatenate([np.zeros(60), np.arange(1.0, 20), [25.0, 25.0], rng.exponential(size=40)])
    layer, first = np.zeros(len(moved), np.int64), rng.permutation(len(moved))[:50]
    pool, drawn = np.arange(len(moved)), np.random.default_rng(7)
    with np.errstate(divide="ignore", invalid="ignore"):
        far = np.abs(np.log(moved)[:, None] - np.log(moved))
    far[np.ix_(moved == 0, moved == 0)] = 0.0
    for found in matched_orders(first, layer, moved, np.ones(len(moved), bool), 3, 0, 7):
        left = np.ones(len(moved), bool)
        for row, match in zip(first, found, strict=False):
            places = np.flatnonzero(left & (pool != row) & np.isfinite(far[row]))
            order = sorted(zip(far[row, places], drawn.random(len(places)), places, strict=True))
            assert match == drawn.choice([place for _, _, place in order[:20]])
            left[match] = False
        if len(found) < len(first):  # the next has no match left
            assert not (left & (pool != first[len(found)]) & np.isfinite(far[first[len(found)]])).any()


def test_moves_are_means_over_situations() -> None:
    layer, index = np.array([0, 0, 1]), np.array([1, 2, 1])

    def one(situation: str, *features: tuple[int, int, float]) -> Moved:
        at, number, value = (np.array(each) for each in zip(*features, strict=True))
        return Moved(
            situation=("d", situation),
            layer=at,
            index=number,
            score=value,
            moved=2 * value,
            node_score=np.zeros((2, 1)),
        )

    found = [one("a", (0, 1, 1.0)), one("a", (0, 1, 3.0), (1, 1, 4.0)), one("b", (1, 1, 6.0), (1, 9, 9.0))]
    score, moved = means_of_moved(found, layer, index)
    np.testing.assert_allclose(score, [1.0, 0.0, 4.0])
    np.testing.assert_allclose(moved, [2.0, 0.0, 8.0])
