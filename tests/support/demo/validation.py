"""The demo profile's validation: `direct` predicts best within a variant, `change` across variants."""

import numpy as np
import xarray as xr

from pipeline.analysis.validation_sets import orders
from tests.support.demo.words import VARIANTS

N_FEATURES = 30


def validation_groups(ranking: xr.Dataset) -> dict[str, xr.Dataset]:
    """Both groups, of the first features of a ranking."""
    rng = np.random.default_rng(8)
    found = orders(VARIANTS[1])
    n = len(found)
    best = {"ablate": ("direct", "evil-safe|"), "restore": ("change", "general@1.0-base")}
    spearman = np.array(
        [
            0.6
            if order.ranking[0] == best[order.intervention][0]
            and order.ranking[1].startswith(best[order.intervention][1])
            else 0.3 - 0.01 * place
            for place, order in enumerate(found)
        ]
    )
    predicted = rng.normal(size=(n, N_FEATURES))
    words = {
        "intervention": [order.intervention for order in found],
        "variant": [order.variant for order in found],
        "score": [order.ranking[0] for order in found],
        "contrast": [order.ranking[1] for order in found],
    }
    numbers = {
        "n_features": np.full(n, N_FEATURES, np.int32),
        "n_situations": np.full(n, 4, np.int32),
        "spearman": spearman,
        "spearman_low": spearman - 0.1,
        "spearman_high": spearman + 0.1,
        "same_sign": 0.5 + spearman / 2,
        "n_first": np.full(n, 10, np.int32),
        "n_cases": np.full(n, 40, np.int32),
        "beaten": spearman,
        "beaten_low": spearman - 0.1,
        "beaten_high": spearman + 0.1,
        "joint_effect": -2 * spearman,
        "joint_low": -2 * spearman - 0.3,
        "joint_high": -2 * spearman + 0.3,
        "joint_controls": np.full(n, 0.02),
    }
    numbers["joint_low"][1] = numbers["joint_high"][1] = np.nan
    return {
        "orders": xr.Dataset(
            {name: ("order", np.array(values, dtype=object)) for name, values in words.items()}
            | {name: ("order", values) for name, values in numbers.items()}
        ),
        "features": xr.Dataset(
            {
                "layer": ("feature", ranking["layer"].values[:N_FEATURES]),
                "index": ("feature", ranking["index"].values[:N_FEATURES]),
                "predicted": (("order", "feature"), predicted),
                "measured": (("order", "feature"), -spearman[:, None] * predicted),
            }
        ),
    }
