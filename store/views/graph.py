"""One attribution graph, typed: tables of nodes, edges and targets, pruned live."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from pipeline.analysis.error_split import split_errors
from pipeline.analysis.pruning import FEATURE, LOGIT, TOKEN, Pruned, SparseGraph, graph_scores, prune
from store.base.errors import OLDER, NotInStoreError
from store.collections.item import Item
from store.schema.registry import ADAPTER_PARTS, GRAPHS, NODE_KINDS
from store.views.item_view import ItemView

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Shown(Pruned):
    """What a graph shows at two thresholds; masks over its stored nodes and edges.

    Attributes
    ----------
    share
        Influence of the shown nodes / of all nodes of the full graph.
    exact
        Whether circuit-tracer would keep the same on the full graph: True where the
        artifact holds all nodes and edges that the thresholds ask for.
    """

    share: float
    exact: bool


class GraphView(ItemView):
    """An item of the ``graphs`` or ``dose`` collection as tables, made when first used.

    A graph of an artifact of format version 1 has neither `influence` and what follows it,
    nor adapter nodes: asking for them raises `NotInStoreError`, which says what to do.

    Parameters
    ----------
    item
        An item with the arrays of `store.schema.registry.GRAPHS`.
    """

    def __init__(self, item: Item) -> None:
        otherwise = "is no graph; take it from the `graphs` collection."
        super().__init__(item, mark="node_kind", otherwise=otherwise)

    @property
    def replacement_score(self) -> float:
        """Token influence / (token + error influence), of the full graph."""
        return float(self.item.scalars["replacement_score"])

    @property
    def completeness_score(self) -> float:
        """Influence-weighted share of inputs that are no errors, of the full graph."""
        return float(self.item.scalars["completeness_score"])

    @cached_property
    def nodes(self) -> "pd.DataFrame":
        """Stored nodes, in circuit-tracer's order; the row number is the node's id.

        Columns: kind (`feature`, `error`, `token`, `logit`), layer, position, feature (the
        token id of tokens and logits, -1 for errors), value (activation; probability of
        logits), influence, cumulative, default.
        """
        import pandas as pd

        frame = self._frame("node", "kind layer position feature value influence cumulative default")
        frame["kind"] = pd.Categorical.from_codes(frame["kind"], categories=list(NODE_KINDS))
        return frame

    @cached_property
    def edges(self) -> "pd.DataFrame":
        """Stored edges. Columns: target, source (rows of `nodes`), weight, default."""
        return self._frame("edge", "target source weight default")

    @cached_property
    def targets(self) -> "pd.DataFrame":
        """Attribution targets, the rows of `direct`.

        Columns: token, logit, centred_logit, probability, is_candidate.
        """
        return self._frame("target", "token logit centred_logit probability is_candidate")

    @cached_property
    def active(self) -> "pd.DataFrame":
        """All active feature nodes, selected or not: the columns of `direct`.

        Columns: layer, position, feature, value, selected.
        """
        return self._frame("active", "layer position feature value selected")

    @property
    def direct(self) -> np.ndarray:
        """Direct effect of each active feature node on each target, in logits.

        (n_targets, n_active) float32, signed.
        """
        return self._array("direct")

    @property
    def influence(self) -> np.ndarray:
        """Signed influence of each selected feature node on each target, along all paths.

        (n_targets, n_selected) float32, dimensionless; columns are the selected rows of `active`.
        """
        return self._array("influence")

    @property
    def total_effect(self) -> np.ndarray:
        """Effect of each selected feature node on each target, along all paths.

        (n_targets, n_selected) float32, logits; columns are the selected rows of `active`.
        """
        return self._array("total_effect")

    @property
    def row_unselected(self) -> np.ndarray:
        """What active features that are not selected add to each row of the full graph.

        (n_selected + n_targets,) float32: selected features (pre-activation), targets (logits).
        """
        return self._array("row_unselected")

    @property
    def row_constant(self) -> np.ndarray:
        """What the constant sources add to each row; shape and unit as `row_unselected`."""
        return self._array("row_constant")

    @property
    def target_error_share(self) -> np.ndarray:
        """Share of error nodes in each target's inputs, by absolute value; (n_targets,) float32."""
        return self._array("target_error_share")

    @cached_property
    def adapters(self) -> "pd.DataFrame":
        """Adapter nodes, none for base; the row number is the node's id.

        Columns: part (a name of `store.schema.registry.ADAPTER_PARTS`), layer, position, component,
        influence (unsigned, in the unit of the nodes').
        """
        import pandas as pd

        frame = self._frame("adapter", "part layer position component influence")
        frame["part"] = pd.Categorical.from_codes(frame["part"], categories=list(ADAPTER_PARTS))
        return frame

    @cached_property
    def adapter_edges(self) -> "pd.DataFrame":
        """Edges of adapter nodes. Columns: target (row of `nodes`), source (of `adapters`), weight."""
        return self._frame("adapter_edge", "target source weight")

    @property
    def adapter_direct(self) -> np.ndarray:
        """Direct effect of each adapter node on each target; (n_targets, n_adapters) float32, logits."""
        return self._array("adapter_direct")

    def split(self) -> "pd.DataFrame":
        """`edges` in which those of error nodes hold only what is not the adapter's.

        Same columns and rows; where an adapter node has an edge and its error node has none
        stored, one more row at the end, see `pipeline.analysis.error_split.split_errors`. Edges of adapter
        nodes are in `adapter_edges`, so that together they add up to what `edges` holds.
        """
        import pandas as pd

        self._array("adapter_part")
        return pd.DataFrame(split_errors(self.item.arrays, n_layers=int(self.item.scalars["n_layers"])))

    def view(self, node_threshold: float = 0.8, edge_threshold: float = 0.98) -> Shown:
        """Prune the stored part of the graph, as circuit-tracer prunes the full one.

        Parameters
        ----------
        node_threshold
            Share of all influence that the shown nodes hold.
        edge_threshold
            Share of the edge scores among them that the shown edges hold.

        Raises
        ------
        ValueError
            A threshold is not between 0 and 1.
        """
        if not 0.0 <= node_threshold <= 1.0:
            raise ValueError(f"node_threshold is {node_threshold}; it must be between 0 and 1.")
        graph = self.sparse
        influence = self.item.arrays["node_influence"]
        cumulative = self.item.arrays["node_cumulative"]
        # The least influential node that is needed to reach the share; ties stay with it.
        reaching = (cumulative >= node_threshold) & (influence > 0)
        least = influence[reaching].max() if reaching.any() else 0.0
        nodes = (influence >= least) | (graph.kind >= TOKEN)
        pruned = prune(graph, nodes=nodes, edge_threshold=edge_threshold)
        return Shown(
            nodes=pruned.nodes,
            edges=pruned.edges,
            share=self.share(pruned.nodes),
            exact=bool(reaching.any()) and self.item.scalars["kept_edge_score"] == 1.0,
        )

    def share(self, nodes: np.ndarray) -> float:
        """Influence of some stored nodes / of all nodes of the full graph.

        Parameters
        ----------
        nodes
            Mask over the stored nodes; (n_nodes,) bool.
        """
        influence = self.item.arrays["node_influence"]
        stored = float(influence.sum())
        kept = float(self.item.scalars["kept_node_influence"])
        return float(influence[nodes].sum()) / stored * kept if stored > 0 else 0.0

    def scores(self, pinned: np.ndarray | None = None) -> tuple[float, float]:
        """Replacement and completeness score of the stored part, or of pinned features.

        Features that are not pinned count as errors; see `pipeline.analysis.pruning.graph_scores`.
        Inputs that the artifact does not hold are not counted.

        Parameters
        ----------
        pinned
            Mask over the stored nodes; None: every stored feature.
        """
        return graph_scores(self.sparse, pinned)

    @cached_property
    def sparse(self) -> SparseGraph:
        """The stored nodes and edges for `pipeline.analysis.pruning`."""
        arrays = self.item.arrays
        kind = arrays["node_kind"]
        value = arrays["node_value"].astype(np.float64)
        return SparseGraph(
            target=arrays["edge_target"],
            source=arrays["edge_source"],
            weight=arrays["edge_weight"],
            kind=kind,
            level=arrays["node_layer"],
            logit_weight=np.where(kind == LOGIT, value, 0.0),
        )

    def node_of(self, layer: int, position: int, feature: int) -> int:
        """Row of a feature node.

        Raises
        ------
        NotInStoreError
            The artifact does not hold it: inactive, not selected, or of little influence.
        """
        arrays = self.item.arrays
        found = np.flatnonzero(
            (arrays["node_kind"] == FEATURE)
            & (arrays["node_layer"] == layer)
            & (arrays["node_position"] == position)
            & (arrays["node_feature"] == feature)
        )
        if len(found) == 0:
            raise NotInStoreError(
                f"the graph of prompt {self.prompt_hash}, {self.variant} holds no node "
                f"L{layer}/{feature} at position {position}."
            )
        return int(found[0])

    def _frame(self, prefix: str, columns: str) -> "pd.DataFrame":
        import pandas as pd  # pruning alone does without it

        return pd.DataFrame({column: self._array(f"{prefix}_{column}") for column in columns.split()})

    def _array(self, name: str) -> np.ndarray:
        if name not in self.item.arrays and GRAPHS.arrays[name].since > 1:
            raise NotInStoreError(
                f"the graph of prompt {self.prompt_hash}, {self.variant} holds no array {name}: {OLDER}"
            )
        return self.item.arrays[name]
