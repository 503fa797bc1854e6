"""Null adapters: random directions of another adapter's rank and sites, as strong as it is."""

from collections.abc import Callable
from typing import Final, cast

import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from torch import Generator, Tensor, nn
from transformers import LlamaForCausalLM

from pipeline.finetuning.lora import attach
from pipeline.organism.adapter_training import lora_settings
from pipeline.params.organism import TrainedParams
from store.base.errors import UserError

_NAME: Final = "default"  # PEFT's name of the one adapter of a model
_CLOSE: Final = 0.02
"""Relative difference at which two divergences count as equal."""


def module_norms(model: nn.Module) -> dict[str, float]:
    """Frobenius norm of the delta that each adapted module adds at scale 1, by the module's name."""
    return {name: float(_delta(layer).detach().norm()) for name, layer in _lora_layers(model).items()}


@torch.no_grad()
def attach_random(
    like: TrainedParams, norms: dict[str, float], model: LlamaForCausalLM, *, seed: int
) -> PeftModel:
    """Put an adapter on `model` whose factors are drawn from N(0, 1), each delta scaled to its norm.

    Parameters
    ----------
    like
        The adapter whose rank, scaling and sites it takes.
    norms
        `module_norms` of that adapter.
    """
    adapted = attach(lora_settings(like), model)
    generator = Generator().manual_seed(seed)
    for name, layer in _lora_layers(adapted).items():
        for factor in (_down(layer), _up(layer)):
            factor.copy_(torch.randn(factor.shape, generator=generator))
        _up(layer).mul_(norms[name] / float(_delta(layer).norm()))
    return adapted.eval()


@torch.no_grad()
def scale_to(adapted: PeftModel, measure: Callable[[nn.Module], float], target: float) -> float:
    """Multiply an adapter's deltas by one factor, so that `measure` of the model gives `target`.

    Found by bisection of the factor's logarithm; `measure` is taken to grow with it.

    Returns
    -------
    float
        The factor.

    Raises
    ------
    UserError
        No factor from 1/1024 to 1024 gives it.
    """
    layers = list(_lora_layers(adapted).values())
    start = [_up(layer).clone() for layer in layers]

    def at(exponent: float) -> float:
        for layer, weight in zip(layers, start, strict=True):
            _up(layer).copy_(weight * 2**exponent)
        return measure(adapted)

    low, high = -10.0, 10.0
    for _ in range(40):
        middle = (low + high) / 2
        found = at(middle)
        if abs(found - target) <= _CLOSE * target:
            return float(2**middle)
        low, high = (middle, high) if found < target else (low, middle)
    raise UserError(
        f"A random adapter cannot be scaled to a divergence of {target:.2f} nats; it comes to {found:.2f}."
    )


def _lora_layers(model: nn.Module) -> dict[str, LoraLayer]:
    return {name: layer for name, layer in model.named_modules() if isinstance(layer, LoraLayer)}


def _down(layer: LoraLayer) -> Tensor:
    """Factor A, (rank, in)."""
    return cast(nn.Linear, layer.lora_A[_NAME]).weight


def _up(layer: LoraLayer) -> Tensor:
    """Factor B, (out, rank)."""
    return cast(nn.Linear, layer.lora_B[_NAME]).weight


def _delta(layer: LoraLayer) -> Tensor:
    """What the layer adds to its weight, (out, in)."""
    return _up(layer) @ _down(layer) * float(layer.scaling[_NAME])
