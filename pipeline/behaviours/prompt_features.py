"""Which features are active where behaviours are answered: the largest, and in how many prompts each is."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import torch

from pipeline.features.streaming import encoded, stream
from pipeline.items.units import Unit
from pipeline.models.pool import ModelPool
from pipeline.models.replacement import ReplacementModel
from store.base.errors import PromptError
from store.collections.item import Item
from store.schema.circuits import BEHAVIOUR_FEATURES

_VALUES: Final = {
    "value_prompt": np.int32,
    "value_layer": np.int16,
    "value_position": np.int32,
    "value_index": np.int32,
    "value": np.float32,
}


def compute_prompt_features(models: ModelPool, unit: Unit) -> Iterator[tuple[str, Item]]:
    """Features of all of a unit's prompts, by its one variant; arguments as of `prompt_features`."""
    (variant,) = unit.variants
    arrays = prompt_features(models.replacement(variant), **unit.arguments)
    name = unit.item(variant)
    yield (
        BEHAVIOUR_FEATURES.kind,
        Item(
            key=name.key,
            prompt_hash=name.prompt_hash,
            variant=variant,
            arrays=arrays,
            scalars={"n_prompts": len(unit.arguments["prompts"])},
        ),
    )


def prompt_features(
    model: ReplacementModel,
    prompts: Sequence[Sequence[int]],
    positions: Sequence[Sequence[int]],
    layers: Sequence[int],
    *,
    top: int,
    values: bool,
    batch: int,
) -> dict[str, np.ndarray]:
    """Arrays of a BEHAVIOUR_FEATURES item.

    A feature's activation on a prompt is the largest in absolute value at any position that is read.

    Parameters
    ----------
    model
        Who reads.
    prompts
        Token ids, BOS included.
    positions
        Of each prompt, which are read; those that circuit-tracer zeroes (BOS) count as inactive (trap 9).
    layers
        Which are read, each once, rising.
    top
        Largest activations that are kept, a prompt and layer.
    values
        Whether every activation is kept, too.
    batch
        Prompts at once, at most.

    Raises
    ------
    PromptError
        An activation is not finite; the message names layer and prompt.
    """
    shape = (len(prompts), len(layers), top)
    top_index, top_value = np.full(shape, -1, np.int32), np.zeros(shape, np.float32)
    dictionary: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    every: list[tuple[np.ndarray, ...]] = [tuple(np.empty(0, dtype) for dtype in _VALUES.values())]
    where = {layer: place for place, layer in enumerate(layers)}

    def visit(layer: int, rows: np.ndarray, x: torch.Tensor) -> None:
        if layer not in where:
            return
        numbers = rows.tolist()
        own = [[at for at in positions[number] if at >= model.zero_positions.stop] for number in numbers]
        read = torch.cat([inputs[at] for at, inputs in zip(own, x, strict=True)])
        parts = encoded(model, read, layer).split([len(at) for at in own])
        for number, at, active in zip(numbers, own, parts, strict=True):
            if not torch.isfinite(active).all():
                raise PromptError(
                    f"At layer {layer} an activation in prompt {number} is NaN or infinite; use dtype "
                    "float32, and check the weights and transcoders of this profile.",
                    layer=layer,
                )
            if not at:
                continue
            acts = active.cpu().numpy()  # (position, feature)
            largest = np.take_along_axis(acts, np.abs(acts).argmax(axis=0)[None], axis=0)[0]
            features = np.flatnonzero(largest)
            order = features[np.argsort(-largest[features], kind="stable")][:top]
            top_index[number, where[layer], : len(order)] = order
            top_value[number, where[layer], : len(order)] = largest[order]
            count, total = dictionary.setdefault(
                layer, (np.zeros(acts.shape[1], np.int32), np.zeros(acts.shape[1]))
            )
            count[features] += 1
            total[features] += largest[features]
            if values:
                places, index = np.nonzero(acts)
                here = (np.full(len(index), each) for each in (number, layer))
                every.append((*here, np.array(at)[places], index, acts[places, index]))

    by_length = sorted(range(len(prompts)), key=lambda number: len(prompts[number]))
    for start in range(0, len(by_length), batch):
        stream(model, prompts, by_length[start : start + batch], visit)
    return {
        "layer": np.array(layers, np.int16),
        "top_index": top_index,
        "top_value": top_value,
        **_seen(dictionary),
        **_sorted_values(every),
    }


def _seen(dictionary: dict[int, tuple[np.ndarray, np.ndarray]]) -> dict[str, np.ndarray]:
    """By feature that is active in any prompt, in how many it is, and its mean activation there."""
    parts: dict[str, list[Any]] = {name: [] for name in ("layer", "index", "prompts", "mean")}
    for layer in sorted(dictionary):
        count, total = dictionary[layer]
        index = np.flatnonzero(count)
        parts["layer"].append(np.full(len(index), layer))
        parts["index"].append(index)
        parts["prompts"].append(count[index])
        parts["mean"].append(total[index] / count[index])
    dtypes = {"layer": np.int16, "index": np.int32, "prompts": np.int32, "mean": np.float32}
    return {
        f"seen_{name}": np.concatenate([np.empty(0), *parts[name]]).astype(dtype)
        for name, dtype in dtypes.items()
    }


def _sorted_values(every: Sequence[tuple[np.ndarray, ...]]) -> dict[str, np.ndarray]:
    columns = {
        name: np.concatenate(column).astype(dtype)
        for (name, dtype), column in zip(_VALUES.items(), zip(*every, strict=True), strict=True)
    }
    order = np.lexsort([columns[f"value_{name}"] for name in ("index", "position", "layer", "prompt")])
    return {name: column[order] for name, column in columns.items()}
