"""Stage `graphs`: attribution graphs of every variant on one target set a prompt."""

from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.collect import collect
from pipeline.execution import Request
from pipeline.params import GraphParams, Params
from pipeline.provenance import provenance
from pipeline.runtime import run_stage
from pipeline.stages.reports import write_metrics
from pipeline.stages.subject import Subject
from pipeline.tracing import candidate_item, traced_items
from store.collections import Collection, open_collection
from store.items import Item
from store.prompts import Prompt
from store.schema import CANDIDATES, FULL_GRAPHS, GRAPHS

CODE = ("pipeline.tracing",)

Plan = Mapping[str, Sequence[Prompt]]
"""Prompts on which each variant is traced."""


def plan_of(subject: Subject, tag: str) -> Plan:
    """Base and focus on all prompts, the other adapters on those with the tag."""
    everything = list(subject.prompts.values())
    tagged = [prompt for prompt in everything if tag in prompt.tags]
    both = {subject.variants[0], subject.focus}
    return {variant: everything if variant in both else tagged for variant in subject.variants}


def target_sets(found: Collection) -> dict[str, list[int]]:
    """By prompt, the union of the variants' candidates: base's first, each in its order."""
    targets: dict[str, dict[int, None]] = {}
    # The index is sorted by prompt and variant, and "base" need not come first.
    for prompt in found.prompts():
        variants = sorted(found.variants(prompt), key=lambda variant: (variant != "base", variant))
        for variant in variants:
            tokens = found.item(prompt, variant).arrays["candidate_token"]
            targets.setdefault(prompt, {}).update(dict.fromkeys(tokens.tolist()))
    return {prompt: list(ids) for prompt, ids in targets.items()}


def keeps_full(prompt: Prompt, graphs: GraphParams) -> bool:
    """Whether the policy keeps the full adjacency of this prompt's graphs."""
    return graphs.full == "always" or (graphs.full == "tagged" and graphs.full_tag in prompt.tags)


def collect_candidates(subject: Subject, plan: Plan, params: Params) -> Collection:
    """Candidates of every variant on every prompt that it is traced on."""
    rule = params.graphs.model_dump(include={"max_n_logits", "desired_logit_prob"})

    def compute(request: Request) -> Item:
        return candidate_item(
            subject.models.replacement(request.variant),
            subject.prompts[request.prompt_hash].token_ids,
            request,
            **rule,
        )

    out = subject.folder / "candidates"
    collect(
        [
            subject.request(CANDIDATES.kind, variant, prompt, rule)
            for variant, prompts in plan.items()
            for prompt in prompts
        ],
        compute,
        schema=CANDIDATES,
        out=out,
        provenance=provenance("graphs", subject.manifest, {"graphs": rule}),
        cache=subject.cache(CANDIDATES.kind),
    )
    return open_collection(out)


def collect_graphs(subject: Subject, plan: Plan, found: Collection, params: Params) -> None:
    """Graphs of every variant, and by policy their full adjacency."""
    graphs = params.graphs
    rule = graphs.model_dump(
        include={
            "max_feature_nodes",
            "batch_size",
            "node_threshold",
            "edge_threshold",
            "keep_node_threshold",
            "keep_edges",
        }
    )
    targets = target_sets(found)
    full_cache = subject.cache(FULL_GRAPHS.kind)

    def both(request: Request) -> tuple[Item, Item]:
        own = found.item(request.prompt_hash, request.variant).arrays["candidate_token"]
        return traced_items(
            subject.models.replacement(request.variant),
            subject.prompts[request.prompt_hash].token_ids,
            request,
            targets=targets[request.prompt_hash],
            own_candidates=own.tolist(),
            **rule,
        )

    def compute(request: Request) -> Item:
        graph, full = both(request)
        if keeps_full(subject.prompts[request.prompt_hash], graphs):
            full_cache.put(full)  # so that the full graphs below need no second trace
        return graph

    requests = [
        subject.request(
            GRAPHS.kind,
            variant,
            prompt,
            {
                **rule,
                "targets": targets[prompt.hash],
                "own": found.item(prompt.hash, variant).arrays["candidate_token"].tolist(),
            },
        )
        for variant, prompts in plan.items()
        for prompt in prompts
    ]
    origin = provenance("graphs", subject.manifest, {"graphs": graphs.model_dump()})
    collect(
        requests,
        compute,
        schema=GRAPHS,
        out=subject.folder / "graphs",
        provenance=origin,
        cache=subject.cache(GRAPHS.kind),
    )
    collect(
        [request for request in requests if keeps_full(subject.prompts[request.prompt_hash], graphs)],
        lambda request: both(request)[1],
        schema=FULL_GRAPHS,
        out=subject.folder / "full_graphs",
        provenance=origin,
        cache=full_cache,
    )


def summary(collection: Collection) -> dict[str, dict[str, float]]:
    """Metrics by variant: graphs, and means of their scores and of what was kept."""
    index = collection.index
    names = ["replacement_score", "completeness_score", "kept_node_influence", "kept_edge_score"]
    return {
        str(variant): {
            "graphs": len(rows),
            **{name: round(float(np.mean(rows[name])), 4) for name in names},
            "n_nodes": round(float(np.mean(rows["n_nodes"])), 1),
        }
        for variant, rows in index.groupby("variant")
    }


def main(profile: str, params: Params) -> None:
    """Write candidates, graphs and full graphs of a profile."""
    subject = Subject(profile, params, CODE)
    plan = plan_of(subject, params.graphs.every_variant_tag)
    found = collect_candidates(subject, plan, params)
    collect_graphs(subject, plan, found, params)
    metrics = summary(open_collection(subject.folder / "graphs"))
    write_metrics(subject.folder, "graphs", metrics)


if __name__ == "__main__":
    run_stage(main)
