"""What decides between right and wrong answers: graphs of behaviours' prompts, up to where answers part."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from pipeline.attribution.active_arrays import to_numpy
from pipeline.attribution.contrast import strongest_edges, trace_contrast
from pipeline.attribution.source_nodes import Sources
from pipeline.interventions.freezing import Hook, hooked
from pipeline.interventions.held import free_gradients, last_logits
from pipeline.items.units import Unit
from pipeline.models.pool import ModelPool
from pipeline.models.replacement import ReplacementModel
from store.collections.item import Item
from store.schema.circuits import BEHAVIOUR_GRAPHS


def compute_circuit_graph(models: ModelPool, unit: Unit) -> Iterator[tuple[str, Item]]:
    """The graph of a unit's one variant; its arguments are those of `circuit_arrays`."""
    (variant,) = unit.variants
    name = unit.item(variant)
    arrays, scalars = circuit_arrays(models.replacement(variant), unit.token_ids, **unit.arguments)
    yield (
        BEHAVIOUR_GRAPHS.kind,
        Item(key=name.key, prompt_hash=name.prompt_hash, variant=variant, arrays=arrays, scalars=scalars),
    )


def circuit_arrays(
    model: ReplacementModel,
    token_ids: Sequence[int],
    right: int,
    wrong: int,
    *,
    max_feature_nodes: int,
    batch_size: int,
    node_edges: int,
    least_edge: float,
) -> tuple[dict[str, np.ndarray], dict[str, int | float]]:
    """Arrays and scalars of a BEHAVIOUR_GRAPHS item.

    Parameters
    ----------
    model
        Of the variant.
    token_ids
        The prompt and the tokens that both answers begin with.
    right, wrong
        The tokens by which the answers differ next.
    max_feature_nodes, batch_size
        As for `pipeline.attribution.contrast.trace_contrast`.
    node_edges, least_edge
        As for `pipeline.attribution.contrast.strongest_edges`.

    Raises
    ------
    UserError
        A number is not finite.
    """
    found = trace_contrast(
        model, token_ids, right, wrong, max_feature_nodes=max_feature_nodes, batch_size=batch_size
    )
    layer, position, feature = found.graph.active_features.T
    value = to_numpy(found.graph.activation_values, np.float32)
    target, source, weight = strongest_edges(found.graph, node_edges, least_edge)
    sizes = np.abs(value * to_numpy(slopes(model, token_ids, (right, wrong), found.sources), np.float32))
    arrays = {
        "token": np.asarray(token_ids, np.int32),
        "target_token": np.array([right, wrong], np.int32),
        "target_logit": found.logits,
        "active_layer": to_numpy(layer, np.int16),
        "active_position": to_numpy(position, np.int32),
        "active_feature": to_numpy(feature, np.int32),
        "active_value": value,
        "direct": found.direct,
        "total_effect": found.total_effect,
        "influence": found.influence,
        "gradient": sizes[0],
        "gradient_contrast": sizes[0] - sizes[1],
        "token_direct": found.token_direct,
        "token_total_effect": found.token_total_effect,
        "token_influence": found.token_influence,
        "edge_target": target,
        "edge_source": source,
        "edge_weight": weight,
    }
    scalars = {
        "n_layers": model.cfg.n_layers,
        "error_direct": found.error_direct,
        "error_total_effect": found.error_total_effect,
    }
    return arrays, scalars


def slopes(
    model: ReplacementModel, token_ids: Sequence[int], targets: Sequence[int], sources: Sources
) -> torch.Tensor:
    """d logit / d activation of active features in the real model: attention, norms and MLPs answer.

    What a feature writes times the gradient at the MLP's output, where it writes it.

    Parameters
    ----------
    model, token_ids
        A variant and a prompt.
    targets
        Token ids; a row of the batch each.
    sources
        Of the prompt.

    Returns
    -------
    torch.Tensor
        (target, active) float32, logits per unit of activation.
    """
    outputs: list[torch.Tensor] = []

    def keep(output: torch.Tensor) -> torch.Tensor:
        held = output if output.requires_grad else output.requires_grad_()
        outputs.append(held)
        return held

    hooks: list[tuple[str, Hook]] = [
        (f"blocks.{layer}.{model.original_feature_output_hook}", keep) for layer in range(model.cfg.n_layers)
    ]
    ids = torch.tensor([list(token_ids)] * len(targets), device=model.cfg.device)
    with free_gradients(model), torch.enable_grad(), hooked(model, hooks):
        logits = last_logits(model, ids).float()
        of_targets = logits.gather(1, torch.tensor(targets, device=ids.device)[:, None])
        gradients = torch.autograd.grad(of_targets.sum(), outputs)  # row by row: rows do not meet
    found = torch.zeros(len(targets), len(sources.features), device=ids.device)
    for gradient, blocks in zip(gradients, sources.blocks, strict=True):
        for block in blocks:
            found[:, block.start : block.stop] += gradient[:, block.position].float() @ block.vectors.T
    return found
