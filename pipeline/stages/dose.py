"""Stage `dose`: graphs of the focus adapter at several scales, on one target and node set a prompt."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final

from pipeline.analysis.dose import LABELS, READ, Response, dose_variants, responses
from pipeline.attribution.prompt_items import candidate_item, prompt_items
from pipeline.items.collect import collect
from pipeline.items.provenance import provenance
from pipeline.items.requests import Request, compute_items
from pipeline.items.subject import Subject
from pipeline.params.graphs import GraphParams
from pipeline.params.project import Params
from pipeline.run.reports import write_metrics, write_plot
from pipeline.run.stage import run_stage
from pipeline.stages.graphs import TRACED
from store.collections.item import Item
from store.collections.reader import Collection, open_collection
from store.documents.prompts import Prompt
from store.schema.registry import CANDIDATES, DOSE

CODE: Final = ("pipeline.attribution.prompt_items",)

Candidates = dict[str, dict[str, list[int]]]
"""Token ids by prompt and variant."""


def candidates_of(
    subject: Subject, variants: Sequence[str], prompts: Sequence[Prompt], graphs: GraphParams
) -> Candidates:
    """Every variant's own candidates; they stay in the cache, where stage `graphs` has put some."""
    rule = graphs.model_dump(include={"max_n_logits", "desired_logit_prob"})
    cache = subject.cache(CANDIDATES.kind)

    def compute(request: Request) -> Item:
        return candidate_item(
            subject.models.replacement(request.variant),
            subject.prompts[request.prompt_hash].token_ids,
            request,
            **rule,
        )

    requests = [
        subject.request(CANDIDATES.kind, variant, prompt, rule) for variant in variants for prompt in prompts
    ]
    compute_items(requests, compute, cache, label="dose_candidates")
    found: Candidates = {prompt.hash: {} for prompt in prompts}
    for request in requests:
        item = cache.get(request.key) or compute(request)
        found[request.prompt_hash][request.variant] = item.arrays["candidate_token"].tolist()
    return found


def collect_dose(
    subject: Subject, variants: Sequence[str], prompts: Sequence[Prompt], params: Params
) -> Collection:
    """Graphs of every variant, on the union of their candidates and of their selections."""
    rule = params.graphs.model_dump(include=TRACED)
    own = candidates_of(subject, variants, prompts, params.graphs)
    targets = {
        prompt: list(dict.fromkeys(token for variant in variants for token in by_variant[variant]))
        for prompt, by_variant in own.items()
    }
    # Every item depends on all of the models, by way of the target and the node set.
    who = {name: subject.manifest.fingerprint(subject.manifest.variant(name)) for name in variants}
    requests = {
        (prompt.hash, variant): subject.request(
            DOSE.kind,
            variant,
            prompt,
            {**rule, "targets": targets[prompt.hash], "own": own[prompt.hash][variant], "together": who},
        )
        for prompt in prompts
        for variant in variants
    }
    cache = subject.cache(DOSE.kind)

    def compute(request: Request) -> Item:
        """All variants of the prompt at once; the others go into the cache."""
        prompt = request.prompt_hash
        items = prompt_items(
            subject.models,
            subject.prompts[prompt].token_ids,
            [requests[prompt, variant] for variant in variants],
            targets=targets[prompt],
            own_candidates=own[prompt],
            **rule,
            adapters=False,
        )
        for item in items.graphs.values():
            cache.put(item)
        return items.graphs[request.variant]

    out = subject.folder / DOSE.kind
    collect(
        list(requests.values()),
        compute,
        schema=DOSE,
        out=out,
        provenance=provenance(
            "dose",
            subject.manifest,
            {"graphs": params.graphs.model_dump(), "dose": params.dose.model_dump()},
        ),
        cache=cache,
    )
    return open_collection(out)


def read_items(found: Collection) -> Iterator[Item]:
    """Every item with the arrays that the response is made of."""
    for prompt in found.prompts():
        for variant in found.variants(prompt):
            yield found.item(prompt, variant, READ)


def main(profile: str, params: Params) -> None:
    """Write the collection of a profile, and the response as a metric and a plot."""
    subject = Subject(profile, params, CODE)
    prompts = [prompt for prompt in subject.prompts.values() if params.dose.tag in prompt.tags]
    variants = dose_variants(subject.manifest, params.dose.scales)
    found = collect_dose(subject, variants, prompts, params)
    lexicon = json.loads((subject.folder / "lexicon.json").read_text(encoding="utf-8"))
    measured = responses(read_items(found), prompts, lexicon, subject.manifest)
    write_metrics(subject.folder, "dose", {variant: _metric(each) for variant, each in measured.items()})
    rows = ((each.scale, label, getattr(each, label)) for each in measured.values() for label in LABELS)
    write_plot(subject.folder, "dose", ["scale", "label", "probability"], rows)


def _metric(response: Response) -> dict[str, Any]:
    return {
        name: round(value, 6) if isinstance(value, float) else value
        for name, value in asdict(response).items()
    }


if __name__ == "__main__":
    run_stage(main, Params)
