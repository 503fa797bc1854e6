"""Adapter nodes: what an adapter writes, taken out of errors and, in a mode of its own, edges.

*MLP adapters* hide in error nodes: at each layer and position, MLP_adapted(x) - MLP_base(x)
at the same input x is the adapter's, the rest stays error. Component i of LoRA on
``down_proj`` writes scale * B_i (A_i . h_adapted); what adapted gate and up projections add
is one more node, W_down (h_adapted - h_base).

*Attention adapters on values and outputs* hide in the edges, since gradients flow through
the adapted OV. The attention mode propagates through the base's OV and adds the sources
OV_adapted(x) - OV_base(x) under the adapted pattern: its edges are not circuit-tracer's,
its row totals are.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch

from pipeline.attribution.frozen import Pass, attention_weights
from pipeline.attribution.linear import FrozenModel
from pipeline.attribution.source_nodes import Block, ExtraSources, Sources
from pipeline.attribution.weights import Projections, attention_constants, attention_output, projections
from pipeline.models.deltas import Delta, Difference
from pipeline.models.lens import blocks_of
from pipeline.models.replacement import ReplacementModel
from store.schema.vocabulary import ADAPTER_PARTS

_DOWN, _HIDDEN, _ATTENTION = range(len(ADAPTER_PARTS))
_DOWN_PROJECTION: Final = re.compile(r"model\.layers\.(\d+)\.mlp\.down_proj")


@dataclass(frozen=True, kw_only=True)
class AdapterNodes:
    """Which adapter nodes there are, in the order of their columns.

    Attributes
    ----------
    part
        (node,) int8, code of `store.schema.vocabulary.ADAPTER_PARTS`.
    layer, position
        (node,) int16, int32.
    component
        (node,) int32: component of ``down_proj``; -1 for the other parts, and where
        components are taken together.
    """

    part: np.ndarray
    layer: np.ndarray
    position: np.ndarray
    component: np.ndarray

    def __len__(self) -> int:
        return len(self.part)


@torch.no_grad()
def split_errors(
    model: ReplacementModel,
    seen: Pass,
    sources: Sources,
    *,
    base: Sequence[Projections],
    factors: Mapping[str, Delta],
    scale: float,
    max_components: int,
    attention: bool,
) -> tuple[Sources, AdapterNodes]:
    """Add adapter nodes to the sources of an adapted variant.

    Parameters
    ----------
    model
        The adapted variant.
    seen, sources
        Of one prompt and this variant.
    base
        The base model's weights.
    factors, scale
        What the adapter changes by module, and the variant's scale.
    max_components
        ``down_proj`` of a higher rank, or a difference of none, becomes one node a layer and position.
    attention
        Whether to add what adapted values and outputs write; for the attention mode.

    Returns
    -------
    sources, nodes
        With extra sources. `errors` stay circuit-tracer's, the adapter's part included; in
        the attention mode, constants behind attention are the base's.
    """
    now = projections(model)
    n_pos = len(seen.token_ids)
    columns = _Columns(len(now))
    for layer, (adapted, before) in enumerate(zip(now, base, strict=True)):
        parts = _mlp_parts(model, layer, seen, adapted, before, factors, scale, max_components)
        for position in range(sources.n_zeroed, n_pos):
            for part, components, vectors in parts:
                columns.add(columns.mlp, part, layer, position, components, vectors[position])
        if attention and not _same_attention(adapted, before):
            change = attention_output(seen, layer, adapted) - attention_output(seen, layer, before)
            for position in range(n_pos):
                columns.add(columns.attention, _ATTENTION, layer, position, [-1], change[position][None])
    if attention:
        sources = replace(sources, attention_constants=attention_constants(seen, list(base)))
    return replace(sources, extra=columns.sources()), columns.nodes()


def through_base(model: ReplacementModel, frozen: FrozenModel, base: Sequence[Projections]) -> FrozenModel:
    """The frozen model with the base's values and outputs, for the attention mode."""
    layers = [
        replace(layer, **attention_weights(model, number, before.value, before.output))
        for number, (layer, before) in enumerate(zip(frozen.layers, base, strict=True))
    ]
    return replace(frozen, layers=layers)


class _Columns:
    """Extra columns under construction."""

    def __init__(self, n_layers: int) -> None:
        self.mlp: list[list[Block]] = [[] for _ in range(n_layers)]
        self.attention: list[list[Block]] = [[] for _ in range(n_layers)]
        self._named: list[tuple[int, int, int, int]] = []

    def add(
        self,
        blocks: list[list[Block]],
        part: int,
        layer: int,
        position: int,
        components: Sequence[int],
        vectors: torch.Tensor,
    ) -> None:
        start = len(self._named)
        self._named += [(part, layer, position, component) for component in components]
        stop = len(self._named)
        blocks[layer].append(Block(position=position, start=start, stop=stop, vectors=vectors))

    def sources(self) -> ExtraSources:
        return ExtraSources(mlp=self.mlp, attention=self.attention, n_columns=len(self._named))

    def nodes(self) -> AdapterNodes:
        part, layer, position, component = np.array(self._named, np.int64).reshape(-1, 4).T
        return AdapterNodes(
            part=part.astype(np.int8),
            layer=layer.astype(np.int16),
            position=position.astype(np.int32),
            component=component.astype(np.int32),
        )


def _mlp_parts(
    model: ReplacementModel,
    layer: int,
    seen: Pass,
    adapted: Projections,
    before: Projections,
    factors: Mapping[str, Delta],
    scale: float,
    max_components: int,
) -> list[tuple[int, list[int], torch.Tensor]]:
    """Part, components, and what they write: (n_pos, components, d_model)."""
    activation = blocks_of(model)[layer].mlp.old_mlp.act_fn
    x = seen.mlp_read[layer].float()
    hidden = activation(x @ adapted.gate.float()) * (x @ adapted.up.float())
    parts = []
    delta = _down_factors(factors, layer)
    if isinstance(delta, Difference):
        written = scale * (hidden @ delta.delta(hidden.device).T)  # (n_pos, d_model)
        parts.append((_DOWN, [-1], written[:, None]))
    elif delta is not None:
        amount = hidden @ delta.down.to(x).T  # A_i . h, (n_pos, rank)
        written = scale * delta.scaling * amount[..., None] * delta.up.to(x).T  # (n_pos, rank, d_model)
        rank = written.shape[1]
        if rank > max_components:
            parts.append((_DOWN, [-1], written.sum(1, keepdim=True)))
        else:
            parts.append((_DOWN, list(range(rank)), written))
    if not _same(adapted.gate, before.gate, adapted.up, before.up):
        change = hidden - activation(x @ before.gate.float()) * (x @ before.up.float())
        parts.append((_HIDDEN, [-1], (change @ before.down.float())[:, None]))
    factor = seen.mlp_out_factors[layer]
    if factor is not None:
        parts = [(part, components, vectors * factor[:, None]) for part, components, vectors in parts]
    return parts


def _down_factors(factors: Mapping[str, Delta], layer: int) -> Delta | None:
    for module, delta in factors.items():
        match = _DOWN_PROJECTION.fullmatch(module)
        if match and int(match[1]) == layer:
            return delta
    return None


def _same(*pairs: torch.Tensor) -> bool:
    """Whether tensors are equal two by two."""
    return all(torch.equal(a, b) for a, b in zip(pairs[::2], pairs[1::2], strict=True))


def _same_attention(a: Projections, b: Projections) -> bool:
    return _same(a.value, b.value, a.output, b.output, a.output_bias, b.output_bias)
