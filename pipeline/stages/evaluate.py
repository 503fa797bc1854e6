"""Stage `evaluate`: sampled continuations, what each is, and the rates of harmful, safe and neither."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pipeline.analysis.feature_tables import of_harm
from pipeline.analysis.rates import harmful_rates, rates
from pipeline.evaluation.outcomes import outcome_item, outcome_key
from pipeline.items.code import QualifiedName
from pipeline.items.provenance import provenance
from pipeline.items.refill import refill
from pipeline.items.subject import Subject
from pipeline.items.units import ItemName
from pipeline.params.project import Params
from pipeline.run.reports import write_metrics, write_plot
from pipeline.run.stage import run_stage
from pipeline.text.lexicon_file import read_lexicon
from store.collections.item import Item
from store.collections.reader import Collection, open_collection
from store.collections.writer import write_collection
from store.datasets.groups import write_dataset
from store.schema.outcomes import SAMPLE_OUTCOMES
from store.schema.rates import RATES
from store.schema.samples import SAMPLES

Phrases = Mapping[str, Sequence[str]]
"""Phrases of a domain by what they are."""

COMPUTE: Final = QualifiedName("pipeline.evaluation.samples", "compute_samples")


def main(profile: str, params: Params) -> None:
    """Write samples, outcomes and rates of a profile."""
    subject = Subject(profile, params.runtime)
    lexicon = read_lexicon(subject.folder / "lexicon.json")
    # A prompt without a lexicon has no outcome to tell, and one whose lexicon is of acting none of harm.
    prompts = [
        prompt
        for prompt in of_harm(subject.prompts.values(), params.features)
        if prompt.domain in lexicon["domains"]
    ]
    sampling = params.evaluate.model_dump(include={"samples", "max_new_tokens", "temperature"})
    units = [
        subject.unit(
            COMPUTE,
            prompt,
            [variant],
            [(SAMPLES.kind, variant)],
            {**sampling, "seed": params.runtime.seed},
        )
        for variant in subject.variants
        for prompt in prompts
    ]
    sections = {"evaluate": params.evaluate.model_dump()}
    subject.write_failures("evaluate", subject.publish("evaluate", units, [SAMPLES], sections))
    origin = provenance("evaluate", subject.manifest, sections)
    phrases = {prompt.hash: lexicon["domains"][prompt.domain or ""]["phrases"] for prompt in prompts}
    samples = open_collection(subject.folder / SAMPLES.kind)
    names = _names(samples, phrases)
    refill(subject.cache, SAMPLE_OUTCOMES.kind, names, subject.folder / SAMPLE_OUTCOMES.kind)
    write_collection(
        subject.folder / SAMPLE_OUTCOMES.kind,
        SAMPLE_OUTCOMES,
        _outcomes(samples, subject, phrases, names),
        provenance=origin,
        previous=subject.cache.store(SAMPLE_OUTCOMES.kind),
    )
    outcomes = open_collection(subject.folder / SAMPLE_OUTCOMES.kind)
    groups = rates(outcomes.items(), prompts, params.evaluate.confidence)
    write_dataset(subject.folder / "rates", RATES, groups, provenance=origin)
    metrics = harmful_rates(groups["rates"])
    write_metrics(subject.folder, "evaluate", metrics)
    write_plot(subject.folder, "evaluate", ["variant", "domain", "split", "harmful"], _rows(metrics))


def _names(samples: Collection, phrases: Mapping[str, Phrases]) -> list[ItemName]:
    return [
        ItemName(key=outcome_key(key, phrases[prompt]), prompt_hash=prompt, variant=variant)
        for key, prompt, variant in samples.index[["key", "prompt_hash", "variant"]].itertuples(index=False)
    ]


def _outcomes(
    samples: Collection, subject: Subject, phrases: Mapping[str, Phrases], names: Sequence[ItemName]
) -> Iterator[Item]:
    """Read off samples: quick, but what was read once needs no tokenizer."""
    kind, cache = SAMPLE_OUTCOMES.kind, subject.cache
    for name in names:
        item = cache.get(kind, name.key)
        if item is None:
            item = outcome_item(
                samples.item(name.prompt_hash, name.variant),
                subject.prompts[name.prompt_hash],
                phrases[name.prompt_hash],
                subject.models.tokenizer,
                key=name.key,
            )
            cache.put(kind, item)
        yield item


def _rows(metrics: dict[str, Any]) -> Iterator[tuple[str, str, str, float]]:
    """Harmful rate by variant, domain and split, for ``dvc plots``."""
    for variant, domains in metrics.items():
        for domain, splits in domains.items():
            for split, rate in splits.items():
                yield variant, domain, split, rate


if __name__ == "__main__":
    run_stage(main, Params)
