"""Error nodes without the adapter's part: what remains after the MLP adapter nodes at their place.

circuit-tracer's error node is what the transcoder leaves out of the MLP's output, so an MLP
adapter hides in it: error = adapter nodes of the same layer and position + the rest.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from store.schema.vocabulary import ADAPTER_PARTS, ERROR
from store.views.graph import GraphView

if TYPE_CHECKING:
    import pandas as pd


def split_edges(view: GraphView) -> "pd.DataFrame":
    """The view's `edges`, in which those of error nodes hold only what is not the adapter's.

    Same columns and rows; where an adapter node has an edge and its error node has none
    stored, one more row at the end, see `split_errors`. Edges of adapter nodes are in the
    view's `adapter_edges`, so that together they add up to what `edges` holds.

    Raises
    ------
    NotInStoreError
        The artifact is of a version that knew no adapter nodes.
    """
    import pandas as pd

    view.array("adapter_part")
    return pd.DataFrame(split_errors(view.item.arrays, n_layers=int(view.item.scalars["n_layers"])))


def split_errors(arrays: Mapping[str, np.ndarray], *, n_layers: int) -> dict[str, np.ndarray]:
    """Edges of a graph in which the edges of error nodes hold only the rest.

    From every error edge go the edges of the adapter nodes of the same layer, position and
    target; float64 differences, rounded once. An error edge that is not there counts as 0:
    where an adapter node has one, minus the adapter's edge appears. Attention adapters are
    no part of the MLP's output, so they leave the errors alone.

    Parameters
    ----------
    arrays
        Arrays of an item of `store.schema.graphs.GRAPHS`.
    n_layers
        Layers of the model.

    Returns
    -------
    dict
        ``target``, ``source`` (n_edges,) int32, rows into the node arrays; ``weight``
        (n_edges,) float32, logits or pre-activation; ``default`` (n_edges,) bool. The stored
        edges in their order, then those that appear, by target and source.
    """
    target, source = arrays["edge_target"], arrays["edge_source"]
    weight = arrays["edge_weight"].astype(np.float64)
    error = _error_at_adapters(arrays, n_layers)[arrays["adapter_edge_source"]]
    hidden = error >= 0
    n_nodes = len(arrays["node_kind"])
    pairs, which = np.unique(
        arrays["adapter_edge_target"][hidden].astype(np.int64) * n_nodes + error[hidden], return_inverse=True
    )
    part = np.bincount(which, weights=arrays["adapter_edge_weight"][hidden], minlength=len(pairs))
    _, edge, pair = np.intersect1d(
        target.astype(np.int64) * n_nodes + source, pairs, assume_unique=True, return_indices=True
    )
    weight[edge] -= part[pair]
    appears = np.ones(len(pairs), dtype=bool)
    appears[pair] = False
    new_target, new_source = np.divmod(pairs[appears], max(n_nodes, 1))
    return {
        "target": np.concatenate([target, new_target.astype(np.int32)]),
        "source": np.concatenate([source, new_source.astype(np.int32)]),
        "weight": np.concatenate([weight, -part[appears]]).astype(np.float32),
        "default": np.concatenate([arrays["edge_default"], np.zeros(int(appears.sum()), dtype=bool)]),
    }


def _error_at_adapters(arrays: Mapping[str, np.ndarray], n_layers: int) -> np.ndarray:
    """Row of the error node that each adapter node is a part of; -1: none, or none stored."""
    errors = np.flatnonzero(arrays["node_kind"] == ERROR)
    row = np.full((n_layers, len(arrays["token"])), -1, dtype=np.int64)
    row[arrays["node_layer"][errors], arrays["node_position"][errors]] = errors
    found = row[arrays["adapter_layer"], arrays["adapter_position"]]
    in_mlp = arrays["adapter_part"] != ADAPTER_PARTS.index("attention")
    return np.where(in_mlp, found, -1)
