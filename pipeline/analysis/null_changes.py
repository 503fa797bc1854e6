"""How much random adapters change a graph: what any difference of two graphs is held against (trap 30)."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr

from pipeline.analysis.difference import edge_changes, node_changes
from store.documents.variants import BASE
from store.views.graph import GraphView

QUANTITIES: Final = ("influence", "activation", "edge")
"""What is compared of graphs: of feature nodes their influence and activation; weights of edges."""

READ: Final = tuple(
    f"{of}_{column}"
    for of, columns in (
        ("node", "kind layer position feature value influence cumulative default"),
        ("edge", "target source weight default"),
        ("active", "layer position feature value selected"),
    )
    for column in columns.split()
)
"""Arrays of the GRAPHS collection that are compared."""

LEVELS: Final = 10.0 ** (-np.arange(0, 129) / 32)
"""Shares that sizes are kept for, 1 to one in ten thousand."""


@dataclass(frozen=True, kw_only=True)
class _Tables:
    """A stored graph as `difference` compares it."""

    nodes: pd.DataFrame
    edges: pd.DataFrame
    active: Mapping[tuple[int, int, int], float]


@dataclass(frozen=True, kw_only=True)
class NullChanges:
    """The group `null_changes` of the FEATURES dataset, by quantity.

    Attributes
    ----------
    share
        (level,) float64, descending.
    size
        By quantity: (level,) float64, ascending; a share of random adapters' changes is at least so
        large. NaN: there are none.
    """

    share: np.ndarray
    size: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, group: xr.Dataset) -> "NullChanges":
        """From the store."""
        sizes = zip([str(name) for name in group["quantity"].values], group["size"].values, strict=True)
        return cls(share=group["share"].values, size=dict(sizes))

    def size_at(self, quantity: str, share: float) -> float:
        """The smallest kept size that no more than a share of random adapters' changes reach; NaN: none.

        >>> NullChanges(share=np.array([1.0, 0.1]), size={"edge": np.array([0.0, 2.0])}).size_at("edge", 0.2)
        2.0
        """
        sizes = self.size.get(quantity, np.empty(0))[self.share <= share * (1 + 1e-9)]
        return float(sizes[0]) if len(sizes) else float("nan")

    def as_large(self, quantity: str, change: float) -> float:
        """The smallest kept share that is not below that of random adapters' changes as large; NaN: unknown.

        >>> kept = NullChanges(share=np.array([1.0, 0.1]), size={"edge": np.array([0.0, 2.0])})
        >>> kept.as_large("edge", -3.0), kept.as_large("edge", 1.9)
        (0.1, 1.0)
        """
        sizes = self.size.get(quantity, np.empty(0))
        if not len(sizes) or np.isnan(sizes).all() or not np.isfinite(change):
            return float("nan")
        # Levels that no change reaches have no size.
        reached = np.flatnonzero(sizes <= abs(change))
        return float(self.share[reached[-1]]) if len(reached) else 1.0


def tables(view: GraphView) -> _Tables:
    """Nodes, edges and activations of a stored graph."""
    active = view.active
    keys = zip(*(active[name].tolist() for name in ("layer", "position", "feature")), strict=True)
    return _Tables(
        nodes=view.nodes, edges=view.edges, active=dict(zip(keys, active["value"].tolist(), strict=True))
    )


def null_changes(
    traced: Mapping[str, Sequence[str]], read: Callable[[str, str], GraphView], nulls: Collection[str]
) -> xr.Dataset:
    """Sizes of the changes from base by random adapters, pooled over adapters, prompts, nodes and edges.

    Parameters
    ----------
    traced
        Variants by prompt hash.
    read
        The graph of a prompt and variant, with the arrays `READ`.
    nulls
        Variants of random adapters.

    Returns
    -------
    xarray.Dataset
        The group `null_changes`: a level's size is the largest that at least (1 + its count) / (1 + n)
        of the changes reach, so that no share is understated.
    """
    found: dict[str, list[np.ndarray]] = {name: [np.empty(0)] for name in QUANTITIES}
    for prompt, variants in traced.items():
        chosen = [variant for variant in variants if variant in nulls]
        if BASE not in variants or not chosen:
            continue
        base = tables(read(prompt, BASE))
        for variant in chosen:
            null = tables(read(prompt, variant))
            nodes = node_changes(base, null)
            features = nodes[nodes["kind"] == "feature"]
            found["influence"].append(np.abs(features["change"].to_numpy()))
            found["activation"].append(
                np.abs(features["activation_right"] - features["activation_left"]).to_numpy()
            )
            found["edge"].append(np.abs(edge_changes(nodes, base, null)["weight"].to_numpy()))
    sizes = np.array([_sizes(np.concatenate(found[name])) for name in QUANTITIES])
    return xr.Dataset(
        {"size": (("quantity", "level"), sizes)},
        coords={
            "quantity": ("quantity", np.array(QUANTITIES, dtype=object)),
            "share": ("level", LEVELS),
            "n": ("quantity", np.array([sum(map(len, found[name])) for name in QUANTITIES], np.int64)),
        },
    )


def _sizes(changes: np.ndarray) -> np.ndarray:
    """Size of each level: the smallest x with (1 + #{changes >= x}) / (1 + n) <= level; NaN: none is."""
    if not len(changes):
        return np.full(len(LEVELS), np.nan)
    ordered = np.sort(changes)
    allowed = np.floor(LEVELS * (1 + len(ordered)) * (1 + 1e-12)).astype(np.int64) - 1  # so many reach it
    sizes = np.full(len(LEVELS), np.nan)
    for level, count in enumerate(allowed):
        if count >= len(ordered):
            sizes[level] = 0.0
        elif count >= 0:
            # Just above the largest change that may not be among them.
            sizes[level] = np.nextafter(ordered[len(ordered) - count - 1], np.inf)
    return sizes
