"""Settings of the rows of a batch, done in a model of transformers: answers under many settings at once.

transformers' models read several times faster than TransformerLens's, which the engine runs for what only
it can do: parts that stay frozen, activations read back. What is added is the same, made by the same plans.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from circuit_tracer.transcoder.cross_layer_transcoder import CrossLayerTranscoder
from transformers import PreTrainedModel

from pipeline.interventions.compile import LayerPlan, Placed, make_plan
from pipeline.interventions.kinds import Intervention, Setting, Step, Vector
from pipeline.models.dictionaries import Transcoders, decoder_rows, layer_count
from pipeline.models.mlp_sites import on_read, on_stream, on_write
from pipeline.models.opening import zeroed_positions


def as_setting(steps: Sequence[Mapping[str, Any]]) -> Setting:
    """A setting as it stands in a unit's arguments: keywords of its steps, each done always."""
    return tuple(
        Vector(**{**step, "direction": tuple(step["direction"])}, where="always")
        if "direction" in step
        else Intervention(**step, where="always")
        for step in steps
    )


class RowHooks:
    """What is done to each row of a batch, while its hooks are in place.

    Parameters
    ----------
    model
        With a variant's weights.
    transcoders
        Of either kind.
    settings
        One a row.
    prompt_lengths
        (row,) tokens of each prompt.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        transcoders: Transcoders,
        settings: Sequence[Setting],
        prompt_lengths: Sequence[int],
    ) -> None:
        self._model, self._transcoders = model, transcoders
        self._zeroed = zeroed_positions(str(model.name_or_path))
        distinct = {
            each: tuple(plain for step in each for plain in _plain(step, transcoders))
            for each in dict.fromkeys(settings)
        }
        self._settings = [distinct[each] for each in settings]
        self._lengths = np.array(prompt_lengths)
        self._plans: dict[int, LayerPlan] = {}
        self._placed: dict[int, Placed] = {}
        self._inputs: dict[int, torch.Tensor] = {}
        # What features add to the MLP output of a later layer, by both layers.
        self._carried: dict[tuple[int, int], torch.Tensor] = {}
        # Behind the prompts a setting does the same at every step: it is placed once, as behind no prompt.
        every = list(distinct.values())
        self._behind = make_plan(transcoders, every)
        nowhere = np.full((len(every), 1), self._zeroed), np.zeros(len(every), int), self._zeroed
        self._placed_behind = {layer: plan.placed(*nowhere) for layer, plan in self._behind.items()}
        number = {each: place for place, each in enumerate(distinct)}
        self._of_row = torch.tensor([number[each] for each in settings], device=model.device)

    def watch(self, rows: torch.Tensor, positions: torch.Tensor) -> None:
        """Which rows are read next, and where; see `pipeline.models.sampling.Watch`."""
        now, at = rows.tolist(), positions.cpu().numpy()
        lengths = self._lengths[now]
        if (at >= np.maximum(lengths, self._zeroed)[:, None]).all():
            of = self._of_row[rows]
            self._plans = self._behind
            self._placed = {layer: placed.of(of) for layer, placed in self._placed_behind.items()}
        else:
            self._plans = make_plan(self._transcoders, [self._settings[row] for row in now])
            plans = self._plans.items()
            self._placed = {layer: plan.placed(at, lengths, self._zeroed) for layer, plan in plans}

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Hooks in place; gone afterwards, also on failure (trap 22)."""
        model, transcoders = self._model, self._transcoders
        steps = {step for setting in self._settings for step in setting}
        with ExitStack() as stack:
            acting = {step.layer for step in steps}
            if acting and isinstance(transcoders, CrossLayerTranscoder):
                acting = set(range(min(acting), layer_count(transcoders)))
            for layer in sorted(acting):
                read = partial(self._inputs.__setitem__, layer)
                handles = [
                    on_read(model, layer, transcoders.feature_input_hook, read),
                    on_write(model, layer, transcoders.feature_output_hook, partial(self._write, layer)),
                    on_stream(model, layer, partial(self._join, layer)),
                ]
                for handle in handles:
                    stack.callback(handle.remove)
            yield

    def _write(self, layer: int, output: torch.Tensor) -> torch.Tensor:
        for at in [at for at in self._carried if at[1] == layer]:
            output = output + self._carried.pop(at).to(output.dtype)
        plan, placed = self._plans.get(layer), self._placed.get(layer)
        if plan is None or placed is None:
            return output
        if placed.gains is not None:
            delta, before, after = plan.deltas(self._inputs[layer], placed, exact=False)
            carried = plan.carried(before, after)
            self._carried |= {(layer, later): more for later, more in carried.items()}
            output = output + delta.to(output.dtype)
        if "mlp" in placed.weights:
            output = output + plan.vector("mlp", placed).to(output.dtype)
        return output

    def _join(self, layer: int, stream: torch.Tensor) -> torch.Tensor:
        plan, placed = self._plans.get(layer), self._placed.get(layer)
        if plan is None or placed is None or "residual" not in placed.weights:
            return stream
        return stream + plan.vector("residual", placed).to(stream.dtype)


def _plain(step: Step, transcoders: Transcoders) -> list[Step]:
    """What is added to a feature goes along its decoders, whatever it is: it need not be encoded."""
    if isinstance(step, Vector) or step.mode != "add":
        return [step]
    rows = decoder_rows(transcoders, step.layer, torch.tensor([step.feature]))
    return [
        Vector(
            layer=layer,
            direction=tuple(row[0].float().tolist()),
            value=step.value,
            where=step.where,
            site="mlp",
        )
        for layer, row in enumerate(rows, step.layer)
    ]
