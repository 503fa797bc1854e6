"""The demo profile's faithfulness: `direct` and `change` carry most; every second first feature is silent."""

import numpy as np
import xarray as xr

from store.schema.vocabulary import (
    ADAPTER_NODES,
    EXPERIMENTS,
    FAITHFUL_ORDERS,
    GIVEN,
    NODE_ORDERS,
    PART_SETS,
    TAKEN,
)
from tests.support.demo.words import VARIANTS

KS = (1, 3, 10, 30)
N_FEATURES = 8


def faithfulness_groups(ranking: xr.Dataset) -> dict[str, xr.Dataset]:
    """All groups; the single features are the first of a ranking."""
    n, m = len(EXPERIMENTS), len(FAITHFUL_ORDERS)
    coordinates = {
        "experiment": ("experiment", np.array(EXPERIMENTS, object)),
        "order": ("order", np.array(FAITHFUL_ORDERS, object)),
    }
    grows = np.log(np.array(KS) + 1) / np.log(KS[-1] + 1)
    strength = np.array([0.9, 0.5, 0.6, 0.88, 0.3, 0.2, 0.7])
    fraction = np.ones((n, 1, 1)) * strength[:, None] * grows
    area = fraction.mean(axis=2)
    curves = {"fraction": fraction, "low": fraction - 0.08, "high": fraction + 0.08}
    random = {
        name: np.tile(size * grows, (n, 1)) for name, size in (("mean", 0.1), ("low", 0), ("high", 0.2))
    }
    for values in random.values():
        values[EXPERIMENTS.index(EXPERIMENTS[-1])] = np.nan
    matched = np.tile(0.2 * grows, (m, 1))
    rank = np.zeros((m, N_FEATURES), np.int32)
    rank[0] = np.arange(1, N_FEATURES + 1)
    share = np.where(np.arange(N_FEATURES) % 2, 0.001, 0.2)
    one = {
        "change": 3.2,
        "low": 2.8,
        "high": 3.6,
        "base_odds": -2.1,
        "adapted_odds": 1.1,
    }
    difference = {name: ("difference", np.array([value])) for name, value in one.items()}
    part = np.array(["+".join(each) for each in PART_SETS], object)
    of_part = np.linspace(0.3, 1.0, len(part)) * np.array([[1.0], [0.9]])
    return {
        "difference": xr.Dataset(
            difference
            | {
                "variant": ("difference", np.array([VARIANTS[1]], object)),
                "n_situations": ("difference", np.array([12], np.int32)),
                "n_prompts": ("difference", np.array([24], np.int32)),
                "reason": ("difference", np.array([""], object)),
                "smallest_q": ("difference", np.array([0.01])),
            }
        ),
        "curves": xr.Dataset(
            coordinates
            | {"k": ("k", np.array(KS, np.int32))}
            | {name: (("experiment", "order", "k"), values) for name, values in curves.items()}
            | {f"random_{name}": (("experiment", "k"), values) for name, values in random.items()}
            | {f"matched_{name}": (("order", "k"), matched) for name in ("mean", "high")}
        ),
        "orders": xr.Dataset(
            coordinates
            | {
                "area": (("experiment", "order"), area),
                "area_low": (("experiment", "order"), area - 0.05),
                "area_high": (("experiment", "order"), area + 0.05),
                "p_random": (("experiment", "order"), np.full((n, m), 1 / 21)),
                "fewest": (
                    ("experiment", "order"),
                    np.tile(np.array([3, -1, 10] + [3] * 4, np.int32), (n, 1)),
                ),
                "fewest_sure": (("experiment", "order"), np.full((n, m), -1, np.int32)),
                "area_random": ("experiment", np.array([0.06, 0.06, np.nan])),
                "area_random_high": ("experiment", np.array([0.12, 0.12, np.nan])),
                "area_matched": ("order", np.full(m, 0.1)),
                "p_matched": ("order", np.full(m, 1 / 11)),
                "n_ranked": ("order", np.full(m, 30, np.int32)),
            }
        ),
        "parts": xr.Dataset(
            {"direction": ("direction", np.array([GIVEN, TAKEN], object)), "part": ("part", part)}
            | {name: (("direction", "part"), of_part) for name in ("fraction", "low", "high")}
        ),
        "nodes": _nodes(grows),
        "nulls": _nulls(),
        "features": xr.Dataset(
            {
                "layer": ("feature", ranking["layer"].values[:N_FEATURES]),
                "index": ("feature", ranking["index"].values[:N_FEATURES]),
                "order": ("order", np.array(FAITHFUL_ORDERS, object)),
                "rank": (("order", "feature"), rank),
                "effect": ("feature", share * one["change"]),
                "fraction": ("feature", share),
                "low": ("feature", share - 0.01),
                "high": ("feature", share + 0.01),
                "p": ("feature", np.full(N_FEATURES, 0.001)),
                "q": ("feature", np.full(N_FEATURES, 0.01)),
                "verdict": ("feature", np.where(share < 0.02, "silent", "acts").astype(object)),
            }
        ),
    }


def _nodes(grows: np.ndarray) -> xr.Dataset:
    """Adapter nodes alone carry half with the first; among features they are second and fifth."""
    whole, each = ("direction", "node_order", "k"), ("direction", "node_order")
    rank = np.array([[[2, 4], [1, 3]], [[0, 0], [2, 5]]], np.int32)
    fraction = np.ones((2, 1, 1)) * np.array([1.0, 0.95])[:, None] * np.maximum(grows, 0.6)
    area = fraction.mean(axis=2)
    return xr.Dataset(
        {
            "direction": ("direction", np.array([GIVEN, TAKEN], object)),
            "node_order": ("node_order", np.array(NODE_ORDERS, object)),
            "node": ("node", np.array(ADAPTER_NODES, object)),
            "k": ("k", np.array(KS, np.int32)),
            "rank": (("node_order", "node", "model_layer"), rank),
            "fewest": (each, np.ones((2, 2), np.int32)),
            "area": (each, area),
            "area_low": (each, area - 0.05),
            "area_high": (each, area + 0.05),
            "area_random": (each, np.full((2, 2), 0.3)),
            "p_random": (each, np.full((2, 2), 1 / 21)),
        }
        | {name: (whole, fraction + shift) for name, shift in (("fraction", 0), ("low", -0.1), ("high", 0.1))}
        | {f"random_{name}": (whole, 0.3 * fraction) for name in ("mean", "low", "high")}
    )


def _nulls() -> xr.Dataset:
    """Two random adapters, of which one does something."""
    size = (2, len(FAITHFUL_ORDERS), len(KS))
    share = np.array([0.01, -0.02])[:, None, None] * np.ones(size)
    return xr.Dataset(
        {
            "null": ("null", np.array(["null-1@1.0", "null-2@1.0"], object)),
            "order": ("order", np.array(FAITHFUL_ORDERS, object)),
            "k": ("k", np.array(KS, np.int32)),
            "change": ("null", np.array([0.02, -0.3])),
            "change_low": ("null", np.array([-0.1, -0.4])),
            "change_high": ("null", np.array([0.14, -0.2])),
            "reason": ("null", np.array(["the change cannot be told from 0", "less likely"], object)),
            "own_fraction": (("null", "order", "k"), np.full(size, np.nan)),
        }
        | {
            name: (("null", "order", "k"), share + shift)
            for name, shift in (("fraction", 0), ("low", -0.03), ("high", 0.03))
        }
    )
