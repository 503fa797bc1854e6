"""What an adapter writes through each layer's MLP and attention, held at another variant's values.

An adapter node is a layer's MLP or attention, at every position (DESIGN, section 5): what the other variant's
modules write there beyond this one's at the other's input. All of them together are the whole difference,
for features differ only because of them.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import torch

from pipeline.interventions.controls import Feature
from pipeline.interventions.freezing import Hook
from pipeline.interventions.held import Beside, Seen, Written, adding
from pipeline.models.replacement import ReplacementModel
from store.schema.vocabulary import ADAPTER_NODES

_ATTENTION: Final = "hook_attn_out"


def written_beyond(source: Seen, own: Written) -> Written:
    """What modules write in the pass `source` beyond what the host's own write at its inputs."""
    return Written(
        outputs=[now - was for now, was in zip(source.outputs, own.outputs, strict=True)],
        attention=[now - was for now, was in zip(source.attention, own.attention, strict=True)],
    )


def mlps_always(model: ReplacementModel, beyond: Written) -> Beside:
    """In every row all MLPs write what the adapter does."""
    name = model.feature_output_hook
    hooks = [(f"blocks.{layer}.{name}", adding(vector)) for layer, vector in enumerate(beyond.outputs)]
    return lambda rows, ks: hooks


class NodesOfOrders:
    """Adapter nodes of some orders: in a row that takes the first k, those that are among them are given.

    Parameters
    ----------
    model
        The host.
    beyond
        What each node writes.
    orders
        Features and nodes, as in `pipeline.interventions.held.held_logits`.
    """

    def __init__(self, model: ReplacementModel, beyond: Written, orders: Sequence[Sequence[Feature]]) -> None:
        self._model, self._beyond = model, beyond
        size = (len(orders), len(ADAPTER_NODES), len(beyond.outputs))
        self._place = torch.full(size, -1, device=model.cfg.device)
        for row, order in enumerate(orders):
            for rank, (layer, index) in enumerate(order):
                if index < 0:
                    self._place[row, -index - 1, layer] = rank

    def __call__(self, rows: Sequence[tuple[int, int]], ks: Sequence[int]) -> Iterator[tuple[str, Hook]]:
        """Hooks for rows of (order, place in `ks`)."""
        place = self._place[[order for order, _ in rows]]  # (row, part, layer)
        wanted = torch.tensor([ks[k] for _, k in rows], device=place.device)[:, None, None]
        given = ((place >= 0) & (place < wanted))[..., None, None]  # and (position, d_model)
        names = (self._model.feature_output_hook, _ATTENTION)
        for part, (name, written) in enumerate(
            zip(names, (self._beyond.outputs, self._beyond.attention), strict=True)
        ):
            for layer, vector in enumerate(written):
                if given[:, part, layer].any():
                    yield f"blocks.{layer}.{name}", adding(given[:, part, layer] * vector)


def node_scores(
    beyond: Written, gradients: tuple[Sequence[torch.Tensor], Sequence[torch.Tensor]]
) -> torch.Tensor:
    """EAP-IG of adapter nodes, (part, layer): what they write times the gradient, over all positions.

    Parameters
    ----------
    gradients
        At outputs of MLPs and of attention, of `pipeline.interventions.path_gradients.path_gradients`.
    """
    return torch.stack(
        [
            torch.stack(
                [(vector * at.to(vector.dtype)).sum() for vector, at in zip(written, of, strict=True)]
            )
            for written, of in zip((beyond.outputs, beyond.attention), gradients, strict=True)
        ]
    )
