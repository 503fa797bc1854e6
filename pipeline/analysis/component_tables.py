"""LoRA components beside transcoders' rows: chances, rates of false findings, and the stored tables."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from scipy.special import betainc, betaincinv

from pipeline.analysis.statistics import benjamini_hochberg
from pipeline.params.components import ComponentParams
from store.collections.item import Item
from store.schema.components import COMPONENTS


def cosine_p(cosine: np.ndarray, width: np.ndarray | int, rows: np.ndarray | int = 1) -> np.ndarray:
    """Chance, at most, that a random direction is as close to one of some rows.

    The square of the cosine between a fixed direction and a uniformly random one in d dimensions is
    Beta(1/2, (d - 1)/2) (Muirhead 1982, theorem 1.5.7): for one row the chance is exact. Of several it
    is at most the sum of theirs (Boole's inequality), whatever the angles between them; the sum is
    close to the truth where it is small and rows are no copies of each other.

    Parameters
    ----------
    cosine
        Any shape, -1 to 1.
    width
        d, 2 or more.
    rows
        How many there are to be close to.

    Returns
    -------
    numpy.ndarray
        float64, at most 1; two-sided.
    """
    square = np.square(np.asarray(cosine, np.float64))
    # The upper tail of Beta(a, b) at x is the lower one of Beta(b, a) at 1 - x, without cancellation.
    one = betainc((np.asarray(width) - 1) / 2, 0.5, np.clip(1.0 - square, 0.0, 1.0))
    p: np.ndarray = np.minimum(1.0, one * rows)
    return p


def null_cosine(level: float, width: np.ndarray | int, rows: np.ndarray | int) -> np.ndarray:
    """The |cosine| of which `cosine_p` is `level`."""
    found: np.ndarray = np.sqrt(1.0 - betaincinv((np.asarray(width) - 1) / 2, 0.5, level / np.asarray(rows)))
    return found


def component_groups(items: Mapping[str, Item], params: ComponentParams) -> dict[str, xr.Dataset]:
    """The groups of the COMPONENTS dataset.

    Parameters
    ----------
    items
        By variant, with the arrays of `pipeline.attribution.component_rows.component_rows` and the
        scalar ``width``, the number of dimensions of a component.
    params
        Has the level.
    """
    of_components: dict[str, list[np.ndarray]] = {name: [] for name in COMPONENTS.groups["components"]}
    of_matches: dict[str, list[np.ndarray]] = {name: [] for name in COMPONENTS.groups["matches"]}
    before = 0
    for variant, item in items.items():
        arrays, width = item.arrays, int(item.scalars["width"])
        n = len(arrays["module"])
        named = {name: arrays[name] for name in of_components if name != "variant"}
        _append(of_components, named | {"variant": np.full(n, variant, object)})
        matches = {
            name: arrays[f"match_{name}"] for name in ("side", "layer", "feature", "rank", "cosine", "dot")
        }
        p = cosine_p(matches["cosine"], width, arrays["match_rows"])
        # A test is a component and a dictionary: its closest row stands for it.
        q = benjamini_hochberg(np.where(matches["rank"] == 0, p, np.nan))
        null = null_cosine(params.level, width, arrays["match_rows"])
        of = (arrays["match_of"] + before).astype(np.int32)
        _append(of_matches, matches | {"of": of, "p": p, "q": q, "null_cosine": null})
        before += n
    groups = {"components": ("component", of_components), "matches": ("match", of_matches)}
    return {
        group: xr.Dataset(
            {
                name: (dim, np.concatenate(values) if values else np.zeros(0, _dtype(group, name)))
                for name, values in columns.items()
            }
        )
        for group, (dim, columns) in groups.items()
    }


def summary(groups: Mapping[str, xr.Dataset], level: float) -> dict[str, dict[str, float]]:
    """Metrics by variant: its components, tests, those found at the level, and the largest |cosine|."""
    components, matches = groups["components"], groups["matches"]
    variant = components["variant"].values[matches["of"].values]
    tested = matches["rank"].values == 0
    metrics = {}
    for name in dict.fromkeys(components["variant"].values.tolist()):
        mine = tested & (variant == name)
        metrics[str(name)] = {
            "components": int((components["variant"].values == name).sum()),
            "tested": int(mine.sum()),
            "found": int((matches["q"].values[mine] <= level).sum()),
            "largest_cosine": round(float(np.abs(matches["cosine"].values[mine]).max(initial=0.0)), 4),
        }
    return metrics


def _append(columns: Mapping[str, list[np.ndarray]], values: Mapping[str, np.ndarray]) -> None:
    for name, value in values.items():
        columns[name].append(value)


def _dtype(group: str, name: str) -> str:
    dtype = COMPONENTS.groups[group][name].dtype
    return "object" if dtype == "str" else dtype
