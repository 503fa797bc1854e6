"""Stage `graphs`: attribution graphs of every variant on one target set a prompt."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from pipeline.attribution.prompt_items import PromptItems, candidate_item, estimate_trace, prompt_items
from pipeline.items.collect import collect
from pipeline.items.provenance import provenance
from pipeline.items.requests import Request
from pipeline.items.subject import Subject
from pipeline.params.graphs import GraphParams
from pipeline.params.project import Params
from pipeline.run.reports import write_metrics
from pipeline.run.stage import run_stage
from store.collections.item import Item
from store.collections.reader import Collection, open_collection
from store.documents.prompts import Prompt
from store.documents.variants import BASE
from store.schema.registry import ADAPTERS, CANDIDATES, FULL_GRAPHS, GRAPHS

CODE = ("pipeline.attribution.prompt_items",)
TRACED: Final = {
    "max_feature_nodes",
    "batch_size",
    "adapter_components",
    "node_threshold",
    "edge_threshold",
    "keep_node_threshold",
    "keep_edges",
}
"""Parameters of `prompt_items`."""
LONG: Final = 60.0
"""Seconds of tracing from which on an estimate is told before it begins."""

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


def together(plan: Plan) -> dict[str, list[str]]:
    """By prompt, the variants that are traced together: all that it is traced with."""
    found: dict[str, list[str]] = {}
    for variant, prompts in plan.items():
        for prompt in prompts:
            found.setdefault(prompt.hash, []).append(variant)
    return found


def collect_graphs(subject: Subject, plan: Plan, found: Collection, params: Params) -> None:
    """Graphs of every variant, what its adapter writes to, and by policy full adjacencies."""
    graphs = params.graphs
    targets = target_sets(found)
    with_what = together(plan)
    requests = {
        (prompt.hash, variant): graph_request(subject, found, prompt, variant, variants, targets, graphs)
        for prompt, variants in ((subject.prompts[name], names) for name, names in with_what.items())
        for variant in variants
    }
    caches = {kind: subject.cache(kind) for kind in (GRAPHS.kind, FULL_GRAPHS.kind, ADAPTERS.kind)}

    def full(request: Request) -> bool:
        return keeps_full(subject.prompts[request.prompt_hash], graphs)

    announced = False

    def compute(request: Request) -> PromptItems:
        """All variants of the prompt at once; what else is wanted of them goes into the caches."""
        nonlocal announced
        prompt = request.prompt_hash
        if not announced:
            missing = sum(not caches[GRAPHS.kind].holds(each.key) for each in requests.values())
            announce(subject, prompt, targets[prompt], missing, graphs)
            announced = True
        beside = [requests[prompt, variant] for variant in with_what[prompt]]
        items = prompt_items(
            subject.models,
            subject.prompts[prompt].token_ids,
            beside,
            targets=targets[prompt],
            own_candidates={each.variant: own_candidates(found, each) for each in beside},
            **graphs.model_dump(include=TRACED),
        )
        for each in beside:
            caches[GRAPHS.kind].put(items.graphs[each.variant])
            if each.variant in items.adapters:
                caches[ADAPTERS.kind].put(items.adapters[each.variant])
            if full(each):
                caches[FULL_GRAPHS.kind].put(items.full_graphs[each.variant])
        return items

    origin = provenance("graphs", subject.manifest, {"graphs": graphs.model_dump()})
    everything = list(requests.values())
    for schema, wanted, pick in (
        (GRAPHS, everything, lambda items: items.graphs),
        (ADAPTERS, [each for each in everything if each.variant != BASE], lambda items: items.adapters),
        (FULL_GRAPHS, [each for each in everything if full(each)], lambda items: items.full_graphs),
    ):
        collect(
            wanted,
            lambda request, pick=pick: pick(compute(request))[request.variant],
            schema=schema,
            out=subject.folder / schema.kind,
            provenance=origin,
            cache=caches[schema.kind],
        )


def announce(subject: Subject, prompt: str, targets: Sequence[int], traces: int, graphs: GraphParams) -> None:
    """Say what the work ahead will take, judging by one prompt, if it is long.

    An adapted variant is traced twice, the second time in the attention mode; all variants
    of a prompt hold their rows at once.
    """
    found = estimate_trace(
        subject.models.replacement(BASE),
        subject.prompts[prompt].token_ids,
        targets,
        **graphs.model_dump(include={"max_feature_nodes", "batch_size"}),
    )
    seconds = found.seconds * 2 * traces
    if seconds >= LONG:
        n_bytes = found.bytes + 2 * found.row_bytes * len(subject.variants)
        print(
            f"graphs: {traces} to trace, {found.sentence()} each; about {seconds / 60:,.0f} min and "
            f"{n_bytes / 1e9:,.1f} GB beside the models",
            flush=True,
        )


def own_candidates(found: Collection, request: Request) -> list[int]:
    """Candidates of a request's own variant."""
    item = found.item(request.prompt_hash, request.variant)
    return [int(token) for token in item.arrays["candidate_token"]]


def graph_request(
    subject: Subject,
    found: Collection,
    prompt: Prompt,
    variant: str,
    variants: Sequence[str],
    targets: Mapping[str, list[int]],
    graphs: GraphParams,
) -> Request:
    """The request for all items of a prompt and variant, which depend on the others, too."""
    who = {name: subject.manifest.fingerprint(subject.manifest.variant(name)) for name in variants}
    parameters = {
        **graphs.model_dump(include=TRACED),
        "targets": targets[prompt.hash],
        "own": found.item(prompt.hash, variant).arrays["candidate_token"].tolist(),
        "together": who,
    }
    return subject.request(GRAPHS.kind, variant, prompt, parameters)


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
    """Write candidates, graphs, full graphs and adapters of a profile."""
    subject = Subject(profile, params, CODE)
    plan = plan_of(subject, params.graphs.every_variant_tag)
    found = collect_candidates(subject, plan, params)
    collect_graphs(subject, plan, found, params)
    metrics = summary(open_collection(subject.folder / "graphs"))
    write_metrics(subject.folder, "graphs", metrics)


if __name__ == "__main__":
    run_stage(main, Params)
