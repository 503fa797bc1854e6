"""What a prompt's pass is without steering, kept for the prompts that are steered now."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from pipeline.interventions.kinds import Intervention
from pipeline.interventions.results import Reading
from pipeline.interventions.runner import LayerPlans, Runner, Seen
from pipeline.models.dictionaries import decoder_norms, encode

_RESIDUAL: Final = "hook_resid_pre"  # of a block
_BASELINES: Final = 8


@dataclass(frozen=True)
class Baseline:
    """An unsteered pass: logits (token,) at the end; of each layer (1, position, d_model) tensors.

    `residuals` is the residual stream before it, `inputs` what its transcoder reads.
    """

    logits: np.ndarray
    residuals: list[torch.Tensor]
    inputs: list[torch.Tensor]


class Unsteered:
    """Baselines of the last few prompts, and what controls are matched by; safe between threads."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._lock = threading.Lock()
        self._baselines: OrderedDict[tuple[int, ...], Baseline] = OrderedDict()
        self._norms: dict[int, np.ndarray] = {}

    def baseline(self, token_ids: Sequence[int]) -> Baseline:
        """Of a prompt, read once."""
        key = tuple(token_ids)
        with self._lock:
            if key not in self._baselines:
                read: dict[str, list[torch.Tensor]] = {_RESIDUAL: [], self._runner.input_hook: []}
                logits = self._runner.run([token_ids], {}, read=read)[0]
                self._baselines[key] = Baseline(logits, *read.values())
                if len(self._baselines) > _BASELINES:
                    self._baselines.popitem(last=False)
            self._baselines.move_to_end(key)
            return self._baselines[key]

    def activations(self, token_ids: Sequence[int], layer: int) -> np.ndarray:
        """Of a layer, (position, feature) float32; zero at BOS, as stored."""
        x = self.baseline(token_ids).inputs[layer]
        with torch.inference_mode():
            encoded = encode(self._runner.transcoders, layer, x)[0]
            encoded[: self._runner.zeroed] = 0
            activations: np.ndarray = encoded.float().cpu().numpy()
        return activations

    def decoder_norm(self, layer: int) -> np.ndarray:
        """Norms of a layer's decoder rows, (feature,) float32."""
        if layer not in self._norms:
            norms = decoder_norms(self._runner.transcoders, layer)
            self._norms[layer] = norms.detach().cpu().numpy()
        return self._norms[layer]


def read_back(
    one: Intervention,
    positions: Sequence[int],
    plan: LayerPlans,
    seen: Seen,
    activations: np.ndarray,
) -> Reading:
    """A steered feature's activations at the positions where it was steered.

    Parameters
    ----------
    seen
        Of the steered pass; a layer where nothing acts (a prompt of BOS alone, say) is not in it.
    activations
        (position, feature) of its layer, unsteered.
    """
    at = list(positions)
    column = plan[one.layer].features.index(one.feature)
    sides = seen[one.layer] if at else ()
    before, after = [side[at, column].tolist() for side in sides] or ([], [])
    return Reading(
        intervention=one,
        positions=tuple(at),
        baseline=tuple(activations[at, one.feature].tolist()),
        before=tuple(before),
        after=tuple(after),
    )
