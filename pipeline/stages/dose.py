"""Stage `dose`: graphs of the focus adapter at several scales, and on its way through training.

Each is traced on one target and node set a prompt, beside base.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pipeline.analysis.dose import (
    LABELS,
    READ,
    Response,
    checkpoint_variants,
    dose_variants,
    onset,
    responses,
)
from pipeline.attribution.graph_units import candidate_units, candidates_of, dose_unit
from pipeline.items.subject import Subject
from pipeline.labels.published import read_labels
from pipeline.params.project import Params
from pipeline.run.reports import write_metrics, write_plot
from pipeline.run.stage import run_stage
from store.collections.item import Item
from store.collections.reader import Collection, open_collection
from store.documents.failures import Failure
from store.schema.candidates import CANDIDATES
from store.schema.dose import CHECKPOINTS, DOSE


def read_items(found: Collection) -> Iterator[Item]:
    """Every item with the arrays that the response is made of."""
    for prompt in found.prompts():
        for variant in found.variants(prompt):
            yield found.item(prompt, variant, READ)


def publish(subject: Subject, params: Params, artifact: str, variants: Sequence[str]) -> list[Failure]:
    """Trace the tagged prompts in all of the variants, and publish an artifact with its candidates."""
    tagged = [prompt.hash for prompt in subject.prompts.values() if params.dose.tag in prompt.tags]
    sections = {"graphs": params.graphs.model_dump(), "dose": params.dose.model_dump()}
    # Those of base and of scale 1 are in the cache where stage `candidates` has put them.
    chosen = candidate_units(subject, dict.fromkeys(tagged if variants else [], variants), params.graphs)
    places = {CANDIDATES.kind: f"{artifact}_candidates", DOSE.kind: artifact}
    failures = subject.publish("dose", chosen, [CANDIDATES], sections, places)
    own = candidates_of(chosen, subject.cache)
    units = [dose_unit(subject, subject.prompts[prompt], own[prompt], params.graphs) for prompt in own]
    return failures + subject.publish("dose", units, [DOSE], sections, places)


def measure(subject: Subject, artifact: str, confidence: float) -> dict[str, Response]:
    """The response of an artifact's prompts, by variant."""
    return responses(
        read_items(open_collection(subject.folder / artifact)),
        list(subject.prompts.values()),
        read_labels(subject.folder),
        confidence=confidence,
    )


def main(profile: str, params: Params) -> None:
    """Write the collections of a profile, and the responses as metrics and a plot."""
    subject = Subject(profile, params.runtime)
    failures = publish(subject, params, DOSE.kind, dose_variants(subject.manifest, params.dose.scales))
    on_the_way = checkpoint_variants(subject.manifest, params.dose.checkpoints)
    failures += publish(subject, params, CHECKPOINTS, on_the_way)
    subject.write_failures("dose", failures)
    level = params.dose.confidence
    by_scale, by_step = measure(subject, DOSE.kind, level), measure(subject, CHECKPOINTS, level)
    metrics = {"scales": _metrics(by_scale), "steps": _metrics(by_step)}
    rows = ((each.dose, label, getattr(each, label)) for each in by_scale.values() for label in LABELS)
    write_plot(subject.folder, "dose", ["scale", "label", "probability"], rows)
    nothing = subject.uncompared
    if not nothing and not any(params.dose.tag in prompt.tags for prompt in subject.prompts.values()):
        nothing = f"no prompt has the tag '{params.dose.tag}' (dose.tag); none is traced at other scales"
    write_metrics(subject.folder, "dose", {**metrics, "onset": onset(list(by_step.values()))}, nothing)


def _metrics(measured: Mapping[str, Response]) -> dict[str, Any]:
    return {
        variant: {
            name: round(value, 6) if isinstance(value, float) else value
            for name, value in asdict(response).items()
        }
        for variant, response in measured.items()
    }


if __name__ == "__main__":
    run_stage(main, Params)
