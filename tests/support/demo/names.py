"""The demo profile's names: two judges, whose names hold of some features and not of others."""

import numpy as np
import xarray as xr

from pipeline.analysis.name_scores import name_score
from store.schema.names import NAME_STATUSES

JUDGES = ("rubric", "reader")
CONTEXTS = 10
RIGHT = {"rubric": 9, "reader": 10}
"""How many of its contexts a judge's name is right of, where it holds; else half."""


def holds(judge: str, row: int) -> bool:
    """Whether a judge's name of the feature in a row is above its control."""
    return row % {"rubric": 3, "reader": 6}[judge] == 1


def names_groups(cards: xr.Dataset, *, confidence: float = 0.95) -> dict[str, xr.Dataset]:
    """The group of the NAMES dataset, of the features on the cards."""
    n = cards.sizes["feature"]
    fires = np.arange(CONTEXTS) % 2 == 0
    right = np.array([[RIGHT[judge] if holds(judge, row) else 5 for row in range(n)] for judge in JUDGES])
    scores = [
        [name_score(fires, fires ^ (np.arange(CONTEXTS) >= one), confidence) for one in of] for of in right
    ]
    table = ("judge", "feature")
    return {
        "names": xr.Dataset(
            {
                **{name: ("feature", cards[name].values) for name in ("layer", "index")},
                "name": (
                    table,
                    np.array([[f"{judge} {row}" for row in range(n)] for judge in JUDGES], object),
                ),
                **{
                    name: (table, np.array([[getattr(one, name) for one in of] for of in scores]))
                    for name in ("balanced_accuracy", "low", "high")
                },
                "shuffled_accuracy": (table, np.full(right.shape, 0.5)),
                "n_contexts": ("feature", np.full(n, CONTEXTS, np.int32)),
                "status": (table, np.full(right.shape, NAME_STATUSES.index("scored"), np.int8)),
                "detail": (table, np.full(right.shape, "", object)),
            },
            coords={"judge": np.array(JUDGES, object)},
        )
    }
