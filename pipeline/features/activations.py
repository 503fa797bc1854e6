"""Transcoder activations of every feature, exactly those of the graphs.

Positions that circuit-tracer zeroes (BOS) are zeroed here, too, and the policy is stored
with the arrays (trap 9): the same prompt gives the same values as its graph.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from pipeline.attribution.frozen import run_forward
from pipeline.attribution.source_nodes import collect_sources
from pipeline.items.units import Unit
from pipeline.models.dictionaries import dictionary_size
from pipeline.models.pool import ModelPool
from pipeline.models.replacement import ReplacementModel
from store.collections.item import Item


@dataclass(frozen=True, kw_only=True)
class Activations:
    """Non-zero activations of one sequence, sorted by layer, position, feature.

    Attributes
    ----------
    layer, position, feature
        (active,) int16, int32, int32; 0-based.
    value
        (active,) float32.
    """

    layer: np.ndarray
    position: np.ndarray
    feature: np.ndarray
    value: np.ndarray


def feature_activations(model: ReplacementModel, token_ids: Sequence[int]) -> Activations:
    """Activations of one sequence by the very code that makes graphs.

    Raises
    ------
    UserError
        An activation is not finite; the message names layer and position.
    """
    ids = torch.as_tensor(token_ids, dtype=torch.long, device=model.cfg.device)
    sources = collect_sources(model, run_forward(model, ids))
    layer, position, feature = sources.features.T.cpu().numpy()
    return Activations(
        layer=layer.astype(np.int16),
        position=position.astype(np.int32),
        feature=feature.astype(np.int32),
        value=sources.activations.float().cpu().numpy(),
    )


def compute_activations(models: ModelPool, unit: Unit) -> Iterator[tuple[str, Item]]:
    """Activations of a unit's one variant; it has no arguments."""
    (variant,) = unit.variants
    name = unit.item(variant)
    yield (
        "activations",
        activation_item(
            models.replacement(variant),
            unit.token_ids,
            key=name.key,
            prompt_hash=name.prompt_hash,
            variant=variant,
        ),
    )


def activation_item(
    model: ReplacementModel,
    token_ids: Sequence[int],
    *,
    key: str,
    prompt_hash: str,
    variant: str,
) -> Item:
    """Item for the collection of activations."""
    active = feature_activations(model, token_ids)
    return Item(
        key=key,
        prompt_hash=prompt_hash,
        variant=variant,
        arrays={
            "layer": active.layer,
            "position": active.position,
            "feature": active.feature,
            "value": active.value,
        },
        scalars={
            "n_positions": len(token_ids),
            "n_layers": model.cfg.n_layers,
            "d_transcoder": dictionary_size(model.transcoders),
            "zeroed_positions": min(model.zero_positions.stop, len(token_ids)),
        },
    )
