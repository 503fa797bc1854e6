"""One attribution graph, typed: its arrays, and tables of its nodes, edges and targets."""

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from store.base.errors import OLDER, NotInStoreError
from store.collections.item import Item
from store.schema.graphs import GRAPHS
from store.schema.vocabulary import ADAPTER_PARTS, FEATURE, NODE_KINDS
from store.views.item_view import ItemView

if TYPE_CHECKING:
    import pandas as pd


class GraphView(ItemView):
    """An item of the ``graphs`` or ``dose`` collection as tables, made when first used.

    A graph of an artifact of format version 1 has neither `influence` and what follows it,
    nor adapter nodes, one of version 3 nothing `unselected_` and no `target_unselected_share`: asking
    for them raises `NotInStoreError`, which says what to do.

    Parameters
    ----------
    item
        An item with the arrays of `store.schema.graphs.GRAPHS`.
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
        return self.array("direct")

    @property
    def influence(self) -> np.ndarray:
        """Signed influence of each selected feature node on each target, along all paths.

        (n_targets, n_selected) float32, dimensionless; columns are the selected rows of `active`.
        """
        return self.array("influence")

    @property
    def total_effect(self) -> np.ndarray:
        """Effect of each selected feature node on each target, along all paths.

        (n_targets, n_selected) float32, logits; columns are the selected rows of `active`.
        """
        return self.array("total_effect")

    @property
    def unselected_influence(self) -> np.ndarray:
        """Signed influence of each active feature node that is not selected on each target.

        (n_targets, n_unselected) float32, dimensionless; columns are the rows of `active` that are
        not selected. They are sources only: nothing passes through them.
        """
        return self.array("unselected_influence")

    @property
    def unselected_total_effect(self) -> np.ndarray:
        """Effect of each active feature node that is not selected on each target, along all paths.

        (n_targets, n_unselected) float32, logits; columns as of `unselected_influence`. NaN of an
        imported graph, where it is not known.
        """
        return self.array("unselected_total_effect")

    @property
    def row_unselected(self) -> np.ndarray:
        """What active features that are not selected add to each row of the full graph.

        (n_selected + n_targets,) float32: selected features (pre-activation), targets (logits).
        """
        return self.array("row_unselected")

    @property
    def row_constant(self) -> np.ndarray:
        """What the constant sources add to each row; shape and unit as `row_unselected`."""
        return self.array("row_constant")

    @property
    def target_error_share(self) -> np.ndarray:
        """Share of error nodes in each target's inputs, by absolute value; (n_targets,) float32."""
        return self.array("target_error_share")

    @property
    def target_unselected_share(self) -> np.ndarray:
        """Share of unselected features in each target's inputs, which `influence` does not pass through.

        By absolute value; (n_targets,) float32.
        """
        return self.array("target_unselected_share")

    @cached_property
    def adapters(self) -> "pd.DataFrame":
        """Adapter nodes, none for base; the row number is the node's id.

        Columns: part (a name of `store.schema.vocabulary.ADAPTER_PARTS`), layer, position, component,
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
        return self.array("adapter_direct")

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

    def array(self, name: str) -> np.ndarray:
        """One array of `store.schema.graphs.GRAPHS` by its name.

        Raises
        ------
        NotInStoreError
            The artifact is of an older version than the array.
        """
        if name not in self.item.arrays and GRAPHS.arrays[name].since > 1:
            raise NotInStoreError(
                f"the graph of prompt {self.prompt_hash}, {self.variant} holds no array {name}: {OLDER}"
            )
        return self.item.arrays[name]

    def _frame(self, prefix: str, columns: str) -> "pd.DataFrame":
        import pandas as pd  # a graph is pruned without it

        return pd.DataFrame({column: self.array(f"{prefix}_{column}") for column in columns.split()})
