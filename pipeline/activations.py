"""Transcoder activations of every feature, exactly those of the graphs.

Positions that circuit-tracer zeroes (BOS) are zeroed here, too, and the policy is stored
with the arrays (trap 9): the same prompt gives the same values as its graph.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from pipeline.models.replacement import ReplacementModel
from store.items import Item


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
    matrix = model.setup_attribution(
        torch.as_tensor(token_ids, dtype=torch.long, device=model.cfg.device)
    ).activation_matrix
    model.take_context()
    return _activations(matrix)


@torch.no_grad()
def batch_activations(
    model: ReplacementModel, sequences: Sequence[Sequence[int]], *, batch_size: int = 32
) -> Iterator[Activations]:
    """Activations of many sequences, in order, in padded batches.

    For held-out text: attention is causal, so padding on the right changes nothing, but a
    batched matrix product may differ from `feature_activations` in the last bits.
    """
    skip = model.zero_positions.stop
    for start in range(0, len(sequences), batch_size):
        batch = sequences[start : start + batch_size]
        width = max(map(len, batch))
        ids = torch.zeros(len(batch), width, dtype=torch.long, device=model.cfg.device)
        for row, sequence in enumerate(batch):
            ids[row, : len(sequence)] = torch.as_tensor(sequence)
        inputs: dict[str, torch.Tensor] = {}
        hook = model.feature_input_hook
        names = [f"blocks.{layer}.{hook}" for layer in range(model.cfg.n_layers)]

        def keep(value: torch.Tensor, hook: object, *, into: dict = inputs) -> None:
            into[hook.name] = value

        model.run_with_hooks(
            ids,
            fwd_hooks=[(name, keep) for name in names],
            stop_at_layer=model.cfg.n_layers,
        )
        layers = []
        for layer, name in enumerate(names):
            active = model.transcoders.encode_layer(inputs[name], layer)
            active[:, :skip] = 0
            layers.append(active)
        for row, sequence in enumerate(batch):
            stacked = torch.stack([active[row, : len(sequence)] for active in layers])
            yield _activations(stacked.to_sparse().coalesce())


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
            "d_transcoder": model.transcoders.d_transcoder,
            "zeroed_positions": min(model.zero_positions.stop, len(token_ids)),
        },
    )


def _activations(matrix: torch.Tensor) -> Activations:
    """From a coalesced sparse (n_layers, n_pos, d_transcoder) tensor."""
    layer, position, feature = matrix.indices().cpu().numpy()
    return Activations(
        layer=layer.astype(np.int16),
        position=position.astype(np.int32),
        feature=feature.astype(np.int32),
        value=matrix.values().float().cpu().numpy(),
    )
