"""Attribution graphs of one prompt and one model, in one pass.

Targets, logits, graph and the direct effects on the targets of *every* active feature come
from the same forward pass. Definitions: Ameisen et al. 2025, "Circuit Tracing", and
circuit-tracer 0.5.0, whose ``attribute`` gives the same graph.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from circuit_tracer.attribution.targets import AttributionTargets
from circuit_tracer.graph import Graph

from pipeline.attribution.adapter_nodes import AdapterNodes
from pipeline.attribution.assemble import assemble, gather
from pipeline.attribution.engine import Attribution
from pipeline.attribution.frozen import Pass, run_forward
from pipeline.attribution.linear import FrozenModel
from pipeline.attribution.source_nodes import Sources, collect_sources
from pipeline.attribution.threads import fitting_threads
from pipeline.attribution.total_effects import total_effects, unselected_influence
from pipeline.models.replacement import ReplacementModel
from store.base.errors import PromptError


@dataclass(frozen=True, kw_only=True)
class AdapterEdges:
    """Adapter nodes and their direct effects.

    Attributes
    ----------
    nodes
        Which they are.
    edges
        Direct effects on the graph's targets, selected features first, then logits;
        (row, node) float32.
    total_effect
        Effects on the logits along all paths through active features, selected or not;
        (target, node) float32, logits.
    """

    nodes: AdapterNodes
    edges: torch.Tensor
    total_effect: torch.Tensor


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
    unselected, constant
        What active features that are no nodes, and constant sources (`Sources.constants`),
        add to each row, selected features first, then logits; (row,) float32. With them a
        row sums up to its pre-activation minus the encoder's bias, or to its centred logit.
    total_effect
        Effect on each target's centred logit of every active feature along all paths through
        active features, (target, active), float32, logits, signed; None where it is not known
        (of an imported graph).
    unselected_influence
        Signed influence on each target of the active features that are no nodes,
        (target, unselected), float32; None as above.
    adapters
        Adapter nodes of an adapted variant; their part is in the graph's errors, too.
    """

    graph: Graph
    logits: torch.Tensor
    raw_logits: torch.Tensor
    direct: torch.Tensor
    unselected: torch.Tensor
    constant: torch.Tensor
    total_effect: torch.Tensor | None = None
    unselected_influence: torch.Tensor | None = None
    adapters: AdapterEdges | None = None


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
    """Candidate next tokens of a prompt; see `salient`.

    Raises
    ------
    UserError
        A logit is not finite; the message says where that begins.
    """
    ids = as_tensor(model, token_ids)
    logits = model(ids)[0, -1]
    if not torch.isfinite(logits).all():
        collect_sources(model, run_forward(model, ids))  # which says in which layer it begins
    return salient(logits, max_n_logits=max_n_logits, desired_logit_prob=desired_logit_prob)


class Tracing:
    """A trace under way: the logits' rows are there, features can be selected and added.

    Attributes
    ----------
    model, seen, sources, attribution
        The variant, its forward pass, its sources, and the engine.
    nodes
        Adapter nodes, if any.
    """

    def __init__(
        self,
        model: ReplacementModel,
        seen: Pass,
        frozen: FrozenModel,
        sources: Sources,
        nodes: AdapterNodes | None,
        targets: Sequence[int],
        *,
        batch_size: int,
    ) -> None:
        """Compute the rows of the targets (token ids, in this order)."""
        self.model = model
        self.seen = seen
        self.sources = sources
        self.nodes = nodes
        chosen = AttributionTargets(
            attribution_targets=torch.as_tensor(targets, dtype=torch.long, device=seen.logits.device),
            logits=seen.logits,
            unembed_proj=model.unembed_proj,
            tokenizer=model.tokenizer,
        )
        self.attribution = Attribution(frozen, sources, chosen, batch_size=batch_size)

    def finish(self) -> Trace:
        """The graph of every feature that has its row, and what goes with it."""
        gathered = gather(self.attribution)
        engine = self.attribution
        graph = assemble(engine, self.model, self.seen.token_ids)
        model = engine.frozen, self.sources, engine.targets.logit_vectors
        totals = total_effects(*model)
        adapters = None
        if self.nodes is not None:
            adapters = AdapterEdges(nodes=self.nodes, edges=gathered.extra, total_effect=totals.extra.cpu())
        return Trace(
            graph=graph,
            logits=self.seen.logits.cpu(),
            raw_logits=self.seen.raw_logits.cpu(),
            direct=gathered.direct,
            unselected=gathered.unselected,
            constant=gathered.constant,
            total_effect=totals.features.cpu(),
            unselected_influence=unselected_influence(*model, graph).cpu(),
            adapters=adapters,
        )


def observe(model: ReplacementModel, token_ids: Sequence[int]) -> tuple[Pass, Sources]:
    """Forward pass and sources of a prompt.

    Raises
    ------
    UserError
        Something is not finite (the message names layer and position), there is nothing
        behind the first token, or the first is no special token.
    """
    ids = as_tensor(model, token_ids)
    if len(ids) < 2:
        raise PromptError("A prompt needs at least one token behind its BOS; this one has none.")
    if int(ids[0]) not in model.tokenizer.all_special_ids:
        raise PromptError(
            f"The prompt's first token is {int(ids[0])}, which is no special token; position 0 is left "
            "out of graphs, so prompts must begin with the tokenizer's BOS (or another special token)."
        )
    seen = run_forward(model, ids)
    return seen, collect_sources(model, seen)


@torch.no_grad()
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
        At most so many rows at a time.

    Raises
    ------
    UserError
        An activation, an error or an effect is not finite; the message says where.
    """
    with fitting_threads(model):
        seen, sources = observe(model, token_ids)
        tracing = Tracing(model, seen, seen.frozen, sources, None, targets, batch_size=batch_size)
        tracing.attribution.select(max_feature_nodes)
        return tracing.finish()


def as_tensor(model: ReplacementModel, token_ids: Sequence[int]) -> torch.Tensor:
    """Token ids on the model's device, (n_pos,) int64."""
    return torch.as_tensor(token_ids, dtype=torch.long, device=model.cfg.device)
