"""What an adapter writes to on one prompt: on features, on logits, and the change by cause."""

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from store.collections.item import Item
from store.schema.vocabulary import ADAPTER_PARTS, CAUSES
from store.views.item_view import ItemView

if TYPE_CHECKING:
    import pandas as pd


class AdapterView(ItemView):
    """An item of the ``adapters`` collection as tables, made when first used.

    Parameters
    ----------
    item
        An item with the arrays of `store.schema.adapters.ADAPTERS`.

    Raises
    ------
    NotInStoreError
        The item is of another collection.
    """

    def __init__(self, item: Item) -> None:
        otherwise = "does not say what the adapter writes to; take it from the `adapters` collection."
        super().__init__(item, mark="source_part", otherwise=otherwise)

    @property
    def error_share_of_change(self) -> float:
        """Share of error nodes in the change: |by error| / sum of |by cause|, mean over targets."""
        return float(self.item.scalars["error_share_of_change"])

    @cached_property
    def targets(self) -> "pd.DataFrame":
        """Attribution targets, the rows of `causes`. Columns, float32, logits:

        token (its id), centred_change (centred logit, adapted minus base), pattern_change
        (adapted minus adapted with base's attention patterns: the share of q and k).
        """
        import pandas as pd

        arrays = self.item.arrays
        columns = ("token", "centred_change", "pattern_change")
        return pd.DataFrame({column: arrays[f"target_{column}"] for column in columns})

    @cached_property
    def causes(self) -> "pd.DataFrame":
        """Change of each target's centred logit by cause: a row a target, a column a cause.

        float32, logits; index ``token`` (target token ids), columns `store.schema.vocabulary.CAUSES`.
        A row adds up to the target's ``centred_change``, but for rounding.
        """
        import pandas as pd

        tokens = pd.Index(self.item.arrays["target_token"], name="token")
        return pd.DataFrame(self.item.arrays["change"], index=tokens, columns=list(CAUSES))

    @cached_property
    def sources(self) -> "pd.DataFrame":
        """Adapter nodes, the columns of `direct` and `total_effect`.

        Columns: part (a name of `store.schema.vocabulary.ADAPTER_PARTS`), layer, position, component (of
        LoRA on ``down_proj``; -1 for other parts).
        """
        import pandas as pd

        arrays = self.item.arrays
        places = {column: arrays[f"source_{column}"] for column in ("layer", "position", "component")}
        return pd.DataFrame({"part": _parts(arrays["source_part"]), **places})

    @property
    def direct(self) -> np.ndarray:
        """Direct effect of each adapter node on each target; (n_targets, n_sources) float32, logits."""
        return self.item.arrays["source_direct"]

    @property
    def total_effect(self) -> np.ndarray:
        """The same along all paths; (n_targets, n_sources) float32, logits."""
        return self.item.arrays["source_total_effect"]

    def writes_on_features(self) -> "pd.DataFrame":
        """Which features the adapter writes to directly, sums over positions.

        Returns
        -------
        pandas.DataFrame
            Columns: part, origin_layer (which adapter nodes), layer, feature (to what), write
            (float64 sum of their direct effects on the feature's pre-activation, signed). In
            the order of the origins, then by layer and feature; without features that an
            origin does not reach at any position.
        """
        import pandas as pd

        arrays = self.item.arrays
        (layer, feature), which = _distinct(arrays["write_layer"], arrays["write_feature"])
        total = _sums(arrays["write"], which, len(layer))
        origin, reached = np.nonzero(_sums(np.abs(arrays["write"]), which, len(layer)))
        return pd.DataFrame(
            {
                "part": _parts(arrays["origin_part"][origin]),
                "origin_layer": arrays["origin_layer"][origin],
                "layer": layer[reached],
                "feature": feature[reached],
                "write": total[origin, reached],
            }
        )

    def writes_on_logits(self) -> "pd.DataFrame":
        """What the adapter nodes of each part and layer do to each target's centred logit.

        Returns
        -------
        pandas.DataFrame
            Columns: token (target token id), part, layer, direct, total_effect (float64 sums
            over positions and components, logits, signed); by target, then part and layer.
        """
        import pandas as pd

        arrays = self.item.arrays
        (part, layer), which = _distinct(arrays["source_part"], arrays["source_layer"])
        n_targets = len(arrays["target_token"])
        return pd.DataFrame(
            {
                "token": np.repeat(arrays["target_token"], len(part)),
                "part": _parts(np.tile(part, n_targets)),
                "layer": np.tile(layer, n_targets),
                "direct": _sums(self.direct, which, len(part)).reshape(-1),
                "total_effect": _sums(self.total_effect, which, len(part)).reshape(-1),
            }
        )


def _distinct(one: np.ndarray, other: np.ndarray) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Distinct pairs, sorted, in their own dtypes, and which of them each pair is."""
    pairs, which = np.unique(np.stack([one, other]).astype(np.int64), axis=1, return_inverse=True)
    return (pairs[0].astype(one.dtype), pairs[1].astype(other.dtype)), which


def _sums(rows: np.ndarray, group: np.ndarray, n_groups: int) -> np.ndarray:
    """Sums in float64 over the columns of each group; (n_rows, n_groups)."""
    sums = np.zeros((len(rows), n_groups))
    for row, values in zip(sums, rows, strict=True):
        row[:] = np.bincount(group, weights=values, minlength=n_groups)
    return sums


def _parts(codes: np.ndarray) -> "pd.Categorical":
    import pandas as pd

    return pd.Categorical.from_codes(codes, categories=list(ADAPTER_PARTS))
