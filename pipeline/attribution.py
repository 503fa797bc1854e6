"""Attribution graphs of one prompt and one model, by circuit-tracer, in one pass.

Targets, logits, graph and the direct effects on the targets of *every* active feature
come from the same forward pass. Definitions: Ameisen et al. 2025, "Circuit Tracing", and
circuit-tracer 0.5.0, whose `attribute` this calls.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from circuit_tracer.attribution.attribute import attribute
from circuit_tracer.graph import Graph

from pipeline.errors import UserError
from pipeline.models.replacement import ReplacementModel


@dataclass(frozen=True, kw_only=True)
class Trace:
    """What one pass gives.

    Attributes
    ----------
    graph
        circuit-tracer's graph, unpruned; float32 on the CPU.
    logits
        Logits at the last position, (vocab,), float32, after any softcap.
    raw_logits
        The same before any softcap; centred logits are these minus their mean.
    direct
        Direct effect A[target, feature] on each target's centred logit of every active
        feature, selected or not, (target, active), float32, logits, signed.
    """

    graph: Graph
    logits: torch.Tensor
    raw_logits: torch.Tensor
    direct: torch.Tensor


def salient(
    logits: torch.Tensor, *, max_n_logits: int, desired_logit_prob: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """The fewest tokens that together reach a probability, most probable first.

    circuit-tracer's own rule (`AttributionTargets._from_salient`), on a float32 softmax.

    Parameters
    ----------
    logits
        (vocab,), logits.
    max_n_logits
        At most so many.
    desired_logit_prob
        Probability to reach.

    Returns
    -------
    ids, probabilities
        (candidate,), int64 and float32.
    """
    probabilities = torch.softmax(logits.float(), dim=-1)
    top, ids = torch.topk(probabilities, min(max_n_logits, len(probabilities)))
    cutoff = int(torch.searchsorted(torch.cumsum(top, 0), desired_logit_prob)) + 1
    return ids[:cutoff].cpu(), top[:cutoff].cpu()


@torch.no_grad()
def candidates(
    model: ReplacementModel,
    token_ids: Sequence[int],
    *,
    max_n_logits: int,
    desired_logit_prob: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Candidate next tokens of a prompt; see `salient`."""
    logits = model(_as_tensor(model, token_ids))[0, -1]
    if not torch.isfinite(logits).all():
        # The attribution set-up checks layer by layer, and says where it begins.
        model.setup_attribution(_as_tensor(model, token_ids))
        model.take_context()
    return salient(logits, max_n_logits=max_n_logits, desired_logit_prob=desired_logit_prob)


def trace(
    model: ReplacementModel,
    token_ids: Sequence[int],
    targets: Sequence[int],
    *,
    max_feature_nodes: int,
    batch_size: int,
) -> Trace:
    """Trace one prompt.

    Parameters
    ----------
    model
        Replacement model of the variant.
    token_ids
        The prompt's ids as stored, its first one a special token.
    targets
        Token ids to attribute to, in this order: the union of the variants' candidates.
    max_feature_nodes
        At most so many features become nodes; the most influential ones.
    batch_size
        At most so many rows in one backward pass.

    Raises
    ------
    UserError
        An activation, an error or an effect is not finite; the message says where.
    """
    ids = _as_tensor(model, token_ids)
    if int(ids[0]) not in model.tokenizer.all_special_ids:
        raise UserError(
            f"The prompt's first token is {int(ids[0])}, which is no special token; position 0 is left "
            "out of graphs, so prompts must begin with the tokenizer's BOS (or another special token)."
        )
    n_active = model.setup_attribution(ids).activation_matrix._nnz()
    try:
        with warnings.catch_warnings(), torch.enable_grad():
            # The token embeddings are leaves, so their hooks fire with respect to outputs.
            warnings.filterwarnings("ignore", message="Full backward hook is firing")
            graph = attribute(
                prompt=ids,
                model=model,
                attribution_targets=torch.as_tensor(targets, dtype=torch.long, device=ids.device),
                batch_size=fitted_batch(min(n_active, max_feature_nodes), batch_size),
                max_feature_nodes=max_feature_nodes,
                verbose=False,
            )
    finally:
        context = model.take_context()
    _to_cpu(graph)
    require_finite_graph(graph)
    rows = torch.cat(context.logit_rows)[: len(targets)]
    return Trace(
        graph=graph,
        logits=context.logits[0, -1].cpu(),
        raw_logits=context.raw_logits.cpu(),
        direct=rows[:, :n_active].contiguous(),
    )


def fitted_batch(n_rows: int, batch_size: int) -> int:
    """The smallest batch size with which the rows take no more batches than with `batch_size`.

    circuit-tracer runs every batch at full width, however few rows it has.
    """
    return max(1, math.ceil(n_rows / math.ceil(max(n_rows, 1) / batch_size)))


def require_finite_graph(graph: Graph) -> None:
    """Refuse a graph with NaN or infinity: influence on it would never converge (trap 5).

    Raises
    ------
    UserError
        The message names the first such target node.
    """
    bad = (~torch.isfinite(graph.adjacency_matrix)).any(1)
    if not bad.any():
        return
    row = int(bad.nonzero()[0, 0])
    if row < len(graph.selected_features):
        layer, position, feature = graph.active_features[graph.selected_features[row]].tolist()
        what = f"feature L{layer}/{feature} at layer {layer}, position {position}"
    else:
        what = "a logit at the last layer and position"
    raise UserError(f"Direct effects on {what} are NaN or infinite; use dtype float32 in this profile.")


def _to_cpu(graph: Graph) -> None:
    """Move all of a graph; circuit-tracer's `Graph.to` leaves three tensors behind."""
    graph.to("cpu")
    graph.input_tokens = graph.input_tokens.cpu()
    graph.selected_features = graph.selected_features.cpu()
    graph.activation_values = graph.activation_values.cpu()


def _as_tensor(model: ReplacementModel, token_ids: Sequence[int]) -> torch.Tensor:
    return torch.as_tensor(token_ids, dtype=torch.long, device=model.cfg.device)
