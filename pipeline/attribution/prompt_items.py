"""From a prompt and its variants to items: candidates, graphs, and what adapters write to."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.attribution.adapter_items import adapter_item
from pipeline.attribution.estimate import Estimate, estimate
from pipeline.attribution.graph_items import graph_items, kept_keys, weigh
from pipeline.attribution.paired import trace_together
from pipeline.attribution.threads import fitting_threads
from pipeline.attribution.trace import Tracing, candidates, observe
from pipeline.items.units import ItemName, Unit
from pipeline.models.pool import ModelPool
from pipeline.models.replacement import ReplacementModel
from store.collections.item import Item


def compute_candidates(models: ModelPool, unit: Unit) -> Iterator[tuple[str, Item]]:
    """Candidates of a unit's one variant; its arguments are those of `candidate_item`."""
    (variant,) = unit.variants
    model = models.replacement(variant)
    yield "candidates", candidate_item(model, unit.token_ids, unit.item(variant), **unit.arguments)


def compute_graphs(models: ModelPool, unit: Unit) -> Iterator[tuple[str, Item]]:
    """Graphs, full graphs and what adapters write to, of all variants of a unit.

    Its arguments are those of `prompt_items`.
    """
    items = prompt_items(
        models, unit.token_ids, [unit.item(variant) for variant in unit.variants], **unit.arguments
    )
    for variant in unit.variants:
        yield "graphs", items.graphs[variant]
        yield "full_graphs", items.full_graphs[variant]
        if variant in items.adapters:
            yield "adapters", items.adapters[variant]


def compute_dose(models: ModelPool, unit: Unit) -> Iterator[tuple[str, Item]]:
    """Graphs of one adapter at several doses, traced together; arguments as `compute_graphs`."""
    names = [unit.item(variant) for variant in unit.variants]
    items = prompt_items(models, unit.token_ids, names, **unit.arguments, adapters=False)
    for variant in unit.variants:
        yield "dose", items.graphs[variant]


def candidate_item(
    model: ReplacementModel,
    token_ids: Sequence[int],
    name: ItemName,
    *,
    max_n_logits: int,
    desired_logit_prob: float,
) -> Item:
    """The candidates of a prompt, as an item of the schema ``candidates``."""
    ids, probabilities = candidates(
        model, token_ids, max_n_logits=max_n_logits, desired_logit_prob=desired_logit_prob
    )
    return Item(
        key=name.key,
        prompt_hash=name.prompt_hash,
        variant=name.variant,
        arrays={
            "candidate_token": ids.numpy().astype(np.int32),
            "candidate_probability": probabilities.numpy(),
        },
        scalars={},
    )


def estimate_trace(
    model: ReplacementModel,
    token_ids: Sequence[int],
    targets: Sequence[int],
    *,
    max_feature_nodes: int,
    batch_size: int,
) -> Estimate:
    """What tracing one prompt in one variant will take; see `trace` for the arguments."""
    with fitting_threads(model):
        seen, sources = observe(model, token_ids)
        tracing = Tracing(model, seen, seen.frozen, sources, None, targets, batch_size=batch_size)
        return estimate(tracing.attribution, max_feature_nodes)


@dataclass(frozen=True, kw_only=True)
class PromptItems:
    """What one prompt gives, by variant.

    Attributes
    ----------
    graphs, full_graphs
        Items of the schemas ``graphs`` and ``full_graphs``.
    adapters
        Items of the schema ``adapters``; of adapted variants traced together with base.
    """

    graphs: dict[str, Item]
    full_graphs: dict[str, Item]
    adapters: dict[str, Item]


def prompt_items(
    pool: ModelPool,
    token_ids: Sequence[int],
    names: Sequence[ItemName],
    *,
    targets: Sequence[int],
    own_candidates: Mapping[str, Sequence[int]],
    max_feature_nodes: int,
    batch_size: int,
    adapter_components: int,
    node_threshold: float,
    edge_threshold: float,
    keep_node_threshold: float,
    keep_edges: int,
    adapters: bool = True,
) -> PromptItems:
    """Trace a prompt in several variants together; see `trace_together` and `graph_items`.

    What one variant's artifact keeps, those of the others keep too, where it is active.

    Parameters
    ----------
    pool, token_ids, targets
        Models, the prompt's ids, and the one target set.
    names
        One a variant, for all of the variant's items.
    own_candidates
        By variant.
    max_feature_nodes, batch_size, adapter_components
        How it is traced.
    node_threshold, edge_threshold, keep_node_threshold, keep_edges
        What is shown and kept.
    adapters
        Whether to make items of what adapters write to, too, where base is among the variants.
    """
    together = trace_together(
        pool,
        token_ids,
        [name.variant for name in names],
        targets,
        max_feature_nodes=max_feature_nodes,
        batch_size=batch_size,
        max_components=adapter_components,
        attention=adapters,
    )
    called = {
        name.variant: {"key": name.key, "prompt_hash": name.prompt_hash, "variant": name.variant}
        for name in names
    }
    items = PromptItems(graphs={}, full_graphs={}, adapters={})
    # What is done with is let go of at once: traces are dense, and adapted variants have two.
    for name in names:
        if name.variant in together.adapters:
            traced = together.adapters.pop(name.variant)
            items.adapters[name.variant] = adapter_item(traced, **called[name.variant])
            del traced
    weighed = {variant: weigh(trace) for variant, trace in together.traces.items()}
    kept = [
        kept_keys(trace, weighed[variant], keep_node_threshold) for variant, trace in together.traces.items()
    ]
    keep = np.unique(np.concatenate(kept))
    for name in names:
        variant = name.variant
        items.graphs[variant], items.full_graphs[variant] = graph_items(
            together.traces.pop(variant),
            weighed=weighed.pop(variant),
            own_candidates=own_candidates[variant],
            node_threshold=node_threshold,
            edge_threshold=edge_threshold,
            keep_node_threshold=keep_node_threshold,
            keep_edges=keep_edges,
            keep_too=keep,
            **called[variant],
        )
    return items
