"""What stays as it was while a setting acts, and hooks that last for one pass."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch

from pipeline.interventions.kinds import Frozen
from pipeline.models.replacement import ReplacementModel

Hook = Callable[[torch.Tensor], torch.Tensor | None]
"""Sees a tensor where it is hooked, and may give another in its place."""


@contextlib.contextmanager
def hooked(model: ReplacementModel, hooks: Sequence[tuple[str, Hook]]) -> Iterator[None]:
    """Hooks in place, in their order, behind the model's own; gone afterwards, also on failure (trap 22).

    TransformerLens's own context looks at every hook of the model to clear some, which at each
    generated token costs as much as what they do.
    """
    with contextlib.ExitStack() as stack:
        for name, hook in hooks:
            handle = model.hook_dict[name].register_forward_hook(partial(_call, hook))
            stack.callback(handle.remove)
        yield


def _call(hook: Hook, module: torch.nn.Module, given: object, output: torch.Tensor) -> torch.Tensor | None:
    return hook(output)


class Still:
    """What is frozen, read in one pass and held in another of the same rows.

    Parameters
    ----------
    model
        The model of both passes.
    frozen
        What stays.

    Attributes
    ----------
    inputs
        What transcoders read in the first pass, (row, position, d_model), by layer whose MLP is frozen:
        what is added there is made of these.
    """

    def __init__(self, model: ReplacementModel, frozen: Frozen) -> None:
        self.inputs: dict[int, torch.Tensor] = {}
        self._model, self._layers = model, frozen.mlps
        self._names = [f"blocks.{layer}.{model.feature_output_hook}" for layer in frozen.mlps]
        ends = ("hook_pattern",) * frozen.attention + ("hook_scale",) * frozen.norms
        self._names += [name for name in model.hook_dict if name.rsplit(".", 1)[-1] in ends]
        self._held: dict[str, torch.Tensor] = {}

    def reading(self) -> list[tuple[str, Hook]]:
        """Hooks of the first pass."""
        hooks: list[tuple[str, Hook]] = [(name, partial(self._keep, name)) for name in self._names]
        return hooks + [(self._input(layer), partial(self._keep_input, layer)) for layer in self._layers]

    def holding(self) -> list[tuple[str, Hook]]:
        """Hooks of the second."""
        hooks: list[tuple[str, Hook]] = [(name, partial(self._give, name)) for name in self._names]
        if self._model.skip_transcoder:
            for layer in self._layers:
                hooks += self._skipping(layer)
        return hooks

    def _input(self, layer: int) -> str:
        return f"blocks.{layer}.{self._model.feature_input_hook}"

    def _keep(self, name: str, output: torch.Tensor) -> None:
        self._held[name] = output

    def _keep_input(self, layer: int, output: torch.Tensor) -> None:
        self.inputs[layer] = output

    def _give(self, name: str, output: torch.Tensor) -> torch.Tensor:
        return self._held[name]

    def _skipping(self, layer: int) -> list[tuple[str, Hook]]:
        """A skip connection goes on to read what there is: it is no MLP, but a linear path beside it."""
        model, now = self._model, list[torch.Tensor]()

        def skip(x: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = model.transcoders.compute_skip(layer, x.to(model.cfg.dtype))
            return found

        def answer(output: torch.Tensor) -> torch.Tensor:
            return output + (skip(now.pop()) - skip(self.inputs[layer]))

        return [
            (self._input(layer), now.append),
            (f"blocks.{layer}.{model.feature_output_hook}", answer),
        ]
