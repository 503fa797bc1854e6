"""Stage `evaluate`: sampled continuations, what each is, and the rates of harmful, safe and neither."""

from collections.abc import Iterator
from typing import Any, Final

from pipeline.analysis.ranked_prompts import of_harm
from pipeline.analysis.rates import harmful_rates, rates
from pipeline.evaluation.told import publish_outcomes
from pipeline.items.code import QualifiedName
from pipeline.items.provenance import provenance
from pipeline.items.subject import Subject
from pipeline.params.project import Params
from pipeline.run.reports import write_metrics, write_plot
from pipeline.run.stage import run_stage
from pipeline.text.lexicon_file import read_lexicon
from store.collections.reader import open_collection
from store.datasets.groups import write_dataset
from store.schema.outcomes import SAMPLE_OUTCOMES
from store.schema.rates import RATES
from store.schema.samples import SAMPLES

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
    outcomes = publish_outcomes(subject, samples, phrases, place=SAMPLE_OUTCOMES.kind, provenance=origin)
    groups = rates(outcomes.items(), prompts, params.evaluate.confidence)
    write_dataset(subject.folder / "rates", RATES, groups, provenance=origin)
    metrics = harmful_rates(groups["rates"])
    write_plot(subject.folder, "evaluate", ["variant", "domain", "split", "harmful"], _rows(metrics))
    nothing = "" if prompts else "no prompt is of a domain with phrases of a lexicon; nothing is sampled"
    write_metrics(subject.folder, "evaluate", metrics, nothing)


def _rows(metrics: dict[str, Any]) -> Iterator[tuple[str, str, str, float]]:
    """Harmful rate by variant, domain and split, for ``dvc plots``."""
    for variant, domains in metrics.items():
        for domain, splits in domains.items():
            for split, rate in splits.items():
                yield variant, domain, split, rate


if __name__ == "__main__":
    run_stage(main, Params)
