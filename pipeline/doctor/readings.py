"""Do transcoders read and write where their configuration says? All other readings are tried, too.

A hook that is named wrongly breaks nothing: features fire on something else, and everything after
them is wrong (trap 39). A set explains what MLPs write from what it was trained to read, and not from
anything else.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import fmean
from typing import Final

import torch
from circuit_tracer.transcoder.cross_layer_transcoder import CrossLayerTranscoder
from transformer_lens.hook_points import HookPoint

from pipeline.models.dictionaries import encode, written
from pipeline.models.replacement import ReplacementModel
from pipeline.models.transcoder_forms import INPUT_HOOKS, OUTPUT_HOOKS

CLEARLY: Final = 0.8
"""The declared reading wins clearly if it leaves at most this share of what the next best one leaves: the
nearest pair of readings, a norm's output before and behind its gain, differs by more."""
_EXPLAINED: Final = 0.9
"""A set that leaves more than this share of the variance unexplained explains nothing."""

_LEAST: Final = 1e-12
"""Less than rounding leaves: of a set that is exact there is no logarithm."""

Reading = tuple[str, str]
"""Hooks that are read and written."""


@dataclass(frozen=True, kw_only=True)
class Readings:
    """Unexplained variance under each reading.

    Attributes
    ----------
    declared
        What the set's configuration says.
    unexplained
        By reading, of each layer: the share of the variance of what is written that the
        reconstruction leaves, over positions; dimensionless, may exceed 1. Of readings that are one and
        the same here there is one.
    """

    declared: Reading
    unexplained: Mapping[Reading, list[float]]

    def typical(self, reading: Reading) -> float:
        """Geometric mean over layers: no layer that is hard to explain decides alone."""
        return math.exp(fmean(math.log(max(share, _LEAST)) for share in self.unexplained[reading]))

    @property
    def best(self) -> Reading:
        """The reading that leaves the least; of equal ones the declared one."""
        return min(self.unexplained, key=lambda one: (self.typical(one), one != self.declared))

    @property
    def rival(self) -> Reading | None:
        """The best of the others; None where there is none."""
        others = [one for one in self.unexplained if one != self.declared]
        return min(others, key=self.typical) if others else None

    @property
    def explains(self) -> bool:
        """Whether the declared reading explains anything."""
        return self.typical(self.declared) <= _EXPLAINED

    @property
    def is_wrong(self) -> bool:
        """Whether another reading explains the MLPs, and by far better."""
        best = self.typical(self.best)
        return best <= _EXPLAINED and best <= CLEARLY * self.typical(self.declared)

    @property
    def is_clear(self) -> bool:
        """Whether the declared reading wins by far."""
        return self.rival is None or self.typical(self.declared) <= CLEARLY * self.typical(self.rival)


@torch.no_grad()
def read_every_way(model: ReplacementModel, token_ids: Sequence[int]) -> Readings:
    """Encode and decode one prompt under every reading of the hooks.

    Parameters
    ----------
    model
        Base, with one transcoder a layer.
    token_ids
        A prompt; the positions that graphs leave out are left out.
    """
    ids = torch.as_tensor(token_ids, dtype=torch.long, device=model.cfg.device)
    declared = (str(model.feature_input_hook), str(model.original_feature_output_hook))
    inputs = list(dict.fromkeys((declared[0], *INPUT_HOOKS)))
    outputs = list(dict.fromkeys((declared[1], *OUTPUT_HOOKS)))
    seen: dict[str, torch.Tensor] = {}

    def grab(value: torch.Tensor, hook: HookPoint) -> None:
        seen[str(hook.name)] = value[0].detach()

    layers = range(model.cfg.n_layers)
    names = [f"blocks.{layer}.{name}" for layer in layers for name in (*inputs, *outputs)]
    model.run_with_hooks(ids, fwd_hooks=[(name, grab) for name in names])
    # Where no norm lies behind the MLP, what it writes has two names.
    outputs = [
        name
        for number, name in enumerate(outputs)
        if not number
        or not all(torch.equal(*(seen[f"blocks.{at}.{one}"] for one in (outputs[0], name))) for at in layers)
    ]
    unexplained: dict[Reading, list[float]] = {reading: [] for reading in product(inputs, outputs)}
    active: dict[str, list[torch.Tensor]] = {name: [] for name in inputs}
    skip = model.zero_positions.stop
    for layer in layers:
        for name in inputs:
            read = seen[f"blocks.{layer}.{name}"].to(model.cfg.dtype)
            rebuilt = _rebuilt(model, layer, read, active[name]).float()[skip:]
            for place in outputs:
                target = seen[f"blocks.{layer}.{place}"].float()[skip:]
                centred = target - target.mean(0)
                left = float((target - rebuilt).square().sum() / centred.square().sum())
                unexplained[name, place].append(left)
    return Readings(declared=declared, unexplained=unexplained)


def _rebuilt(
    model: ReplacementModel, layer: int, read: torch.Tensor, earlier: list[torch.Tensor]
) -> torch.Tensor:
    """What a layer's features, and `earlier` layers' that write there, make of (n_pos, d_model)."""
    if isinstance(model.transcoders, CrossLayerTranscoder):
        earlier.append(encode(model.transcoders, layer, read))
        return written(model.transcoders, earlier, layer) + model.transcoders.b_dec[layer]
    transcoder = model.transcoders[layer]
    active, _ = transcoder.encode_sparse(read, zero_positions=slice(0, 0))
    rebuilt: torch.Tensor = transcoder.decode_sparse(active, read)[0]
    return rebuilt
