"""Stage `evaluate`: harmful, safe and neither, from sampled continuations."""

import json
from collections.abc import Iterator
from typing import Any

from pipeline.analysis.rates import harmful_rates, rates
from pipeline.evaluation.samples import sample_item
from pipeline.items.collect import collect
from pipeline.items.provenance import provenance
from pipeline.items.requests import Request
from pipeline.items.subject import Subject
from pipeline.params.project import Params
from pipeline.run.reports import write_metrics, write_plot
from pipeline.run.stage import run_stage
from store.collections.item import Item
from store.collections.reader import open_collection
from store.datasets.groups import write_dataset
from store.schema.registry import RATES, SAMPLES

CODE = ("pipeline.evaluation.samples",)


def main(profile: str, params: Params) -> None:
    """Write samples and rates of a profile."""
    subject = Subject(profile, params, CODE)
    lexicon = json.loads((subject.folder / "lexicon.json").read_text(encoding="utf-8"))
    # A prompt without a lexicon has no outcome to tell, so it is not sampled.
    prompts = [prompt for prompt in subject.prompts.values() if prompt.domain in lexicon["domains"]]
    sampling = params.evaluate.model_dump(include={"samples", "max_new_tokens", "temperature"})

    def compute(request: Request) -> Item:
        return sample_item(
            subject.models.causal_lm(request.variant),
            subject.models.tokenizer,
            subject.prompts[request.prompt_hash],
            lexicon,
            **sampling,
            seed=params.runtime.seed,
            key=request.key,
            variant=request.variant,
        )

    origin = provenance("evaluate", subject.manifest, {"evaluate": params.evaluate.model_dump()})
    collect(
        [
            subject.request(
                SAMPLES.kind,
                variant,
                prompt,
                {**sampling, "phrases": lexicon["domains"][prompt.domain]["phrases"]},
            )
            for variant in subject.variants
            for prompt in prompts
        ],
        compute,
        schema=SAMPLES,
        out=subject.folder / "samples",
        provenance=origin,
        cache=subject.cache(SAMPLES.kind),
    )
    groups = rates(
        open_collection(subject.folder / "samples").items(),
        prompts,
        params.evaluate.confidence,
    )
    write_dataset(subject.folder / "rates", RATES, groups, provenance=origin)
    metrics = harmful_rates(groups["rates"])
    write_metrics(subject.folder, "evaluate", metrics)
    write_plot(subject.folder, "evaluate", ["variant", "domain", "split", "harmful"], _rows(metrics))


def _rows(metrics: dict[str, Any]) -> Iterator[tuple[str, str, str, float]]:
    """Harmful rate by variant, domain and split, for ``dvc plots``."""
    for variant, domains in metrics.items():
        for domain, splits in domains.items():
            for split, rate in splits.items():
                yield variant, domain, split, rate


if __name__ == "__main__":
    run_stage(main, Params)
