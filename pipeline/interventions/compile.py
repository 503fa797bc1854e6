"""Interventions on the rows of a batch, compiled: what to add to each layer's MLP output."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from circuit_tracer.transcoder import SingleLayerTranscoder, TranscoderSet
from circuit_tracer.transcoder.activation_functions import JumpReLU
from torch import nn

from pipeline.interventions.kinds import Intervention, Mode, Setting, Where


@dataclass(frozen=True, kw_only=True)
class _Step:
    """One intervention on several rows at once: on feature ``columns[i]`` of ``rows[i]``."""

    intervention: Intervention
    rows: torch.Tensor
    columns: torch.Tensor


class LayerPlan:
    """What happens at one layer.

    Attributes
    ----------
    features
        The distinct features that any row touches, ascending.
    steps
        Applied one after the other.
    """

    def __init__(
        self,
        transcoders: TranscoderSet,
        layer: int,
        steps: list[tuple[list[int], list[Intervention]]],
    ) -> None:
        transcoder = transcoders[layer]
        device = transcoder.b_enc.device
        self.features = sorted({one.feature for _, ones in steps for one in ones})
        column = {feature: place for place, feature in enumerate(self.features)}
        self.steps = [
            _Step(
                intervention=ones[0],
                rows=torch.tensor(rows, device=device),
                columns=torch.tensor([column[one.feature] for one in ones], device=device),
            )
            for rows, ones in steps
        ]
        self._ids = torch.tensor(self.features, device=device)
        self._transcoder = transcoder
        self._decoder = transcoder._get_decoder_vectors(self._ids).to(device)  # (m, d_model)
        self._encode = encoder_of(transcoder, self._ids)

    def deltas(
        self,
        x: torch.Tensor,
        *,
        positions: torch.Tensor,
        prompt_length: int,
        zeroed: int,
        exact: bool,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """What to add to the MLP output, and the activations before and after.

        Parameters
        ----------
        x
            (row, position, d_model), the transcoder's input in this very pass.
        positions
            (position,) absolute positions of `x`.
        exact
            Encode the whole dictionary, as circuit-tracer does, so that activations are
            those of the store to the last bit; else only the features concerned.

        Returns
        -------
        delta
            (row, position, d_model); exactly 0 where nothing changes.
        before, after
            (row, position, feature) activations f and f'.
        """
        before = self._transcoder.encode(x)[..., self._ids] if exact else self._encode(x)
        before = before * (positions >= zeroed)[:, None]
        after = before.clone()
        for step in self.steps:
            mask = step.intervention.mask(positions, prompt_length, zeroed)
            current = after[step.rows, :, step.columns]  # (step row, position)
            changed = torch.where(mask, step.intervention.apply(current), current)
            after[step.rows, :, step.columns] = changed
        return (after - before) @ self._decoder, before, after

    def acts_at(self, positions: torch.Tensor, prompt_length: int, zeroed: int) -> bool:
        """Whether anything is done at any of these positions."""
        return any(
            bool(step.intervention.mask(positions, prompt_length, zeroed).any()) for step in self.steps
        )


def make_plan(transcoders: TranscoderSet, rows: Sequence[Setting]) -> dict[int, LayerPlan]:
    """Compile one setting a row into one plan a layer.

    Rows that do the same thing to different features (a setting and its controls) share
    their steps, so that many rows cost little more than one.
    """
    # By layer, then by what is done: rows, and the intervention on each.
    steps: dict[int, dict[tuple[int, Mode, float, Where], tuple[list[int], list[Intervention]]]] = {}
    for number, setting in enumerate(rows):
        for place, one in enumerate(setting):
            same = (place, one.mode, one.value, one.where)
            at, ones = steps.setdefault(one.layer, {}).setdefault(same, ([], []))
            at.append(number)
            ones.append(one)
    return {
        layer: LayerPlan(transcoders, layer, [of_layer[key] for key in sorted(of_layer, key=lambda k: k[0])])
        for layer, of_layer in sorted(steps.items())
    }


def encoder_of(
    transcoder: SingleLayerTranscoder, features: torch.Tensor
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Encode some features only, where the activation function is one of each by itself."""
    function = transcoder.activation_function
    activate: Callable[[torch.Tensor], torch.Tensor]
    if isinstance(function, JumpReLU):
        threshold = function.threshold
        own = threshold[features] if threshold.numel() > 1 else threshold

        def jump(x: torch.Tensor) -> torch.Tensor:
            return x * (x > own)

        activate = jump
    elif function in (F.relu, torch.relu) or isinstance(function, nn.ReLU):
        activate = F.relu
    else:  # TopK compares features with each other
        return lambda x: transcoder.encode(x)[..., features]
    weight, bias = transcoder.W_enc[features], transcoder.b_enc[features]
    return lambda x: activate(F.linear(x.to(weight.dtype), weight, bias))
