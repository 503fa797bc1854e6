"""Stage `dose`: graphs of the focus adapter at several scales, on one target and node set a prompt."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from pipeline.analysis.dose import LABELS, READ, Response, dose_variants, responses
from pipeline.attribution.graph_units import candidate_units, candidates_of, dose_unit
from pipeline.items.subject import Subject
from pipeline.params.project import Params
from pipeline.run.reports import write_metrics, write_plot
from pipeline.run.stage import run_stage
from pipeline.text.lexicon_file import read_lexicon
from store.collections.item import Item
from store.collections.reader import Collection, open_collection
from store.schema.candidates import CANDIDATES
from store.schema.dose import DOSE


def read_items(found: Collection) -> Iterator[Item]:
    """Every item with the arrays that the response is made of."""
    for prompt in found.prompts():
        for variant in found.variants(prompt):
            yield found.item(prompt, variant, READ)


def main(profile: str, params: Params) -> None:
    """Write the collection of a profile, and the response as a metric and a plot."""
    subject, graphs = Subject(profile, params.runtime), params.graphs
    prompts = [prompt for prompt in subject.prompts.values() if params.dose.tag in prompt.tags]
    variants = dose_variants(subject.manifest, params.dose.scales)
    sections = {"graphs": graphs.model_dump(), "dose": params.dose.model_dump()}
    # Those of base and of scale 1 are in the cache where stage `graphs` has put them.
    chosen = candidate_units(subject, {prompt.hash: variants for prompt in prompts}, graphs)
    failures = subject.publish("dose", chosen, [CANDIDATES], sections, {CANDIDATES.kind: "dose_candidates"})
    own = candidates_of(chosen, subject.cache)
    units = [dose_unit(subject, subject.prompts[prompt], own[prompt], graphs) for prompt in own]
    failures += subject.publish("dose", units, [DOSE], sections)
    subject.write_failures("dose", failures)
    lexicon = read_lexicon(subject.folder / "lexicon.json")
    items = read_items(open_collection(subject.folder / DOSE.kind))
    measured = responses(items, prompts, lexicon, subject.manifest)
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
