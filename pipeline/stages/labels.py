"""Stage `labels`: what people, judges and lexicon say of every candidate, and what counts."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from pipeline.analysis.agreement_measures import Resampling
from pipeline.items.provenance import provenance
from pipeline.labels.agreeing import agreement_groups
from pipeline.labels.journal import read_events
from pipeline.labels.labelled_prompt import LabelledPrompt
from pipeline.labels.own_queue import drawn_prompts
from pipeline.labels.pace import minutes_a_prompt
from pipeline.labels.resolution import HUMAN, LEXICON
from pipeline.labels.resolving import Resolved, resolve
from pipeline.labels.tables import label_groups
from pipeline.params.project import Params
from pipeline.run.reports import none_scored, write_metrics
from pipeline.run.stage import artifacts, run_stage
from store.datasets.groups import write_dataset
from store.documents.manifest import read_manifest
from store.schema.labels import CHANGES, LABELS, MEASURES
from store.schema.vocabulary import ALL


def funnel(prompts: Sequence[LabelledPrompt]) -> dict[str, int]:
    """From prompts that were found to those that a ranking can rest on."""

    def evil(prompt: LabelledPrompt, people: bool) -> bool:
        return any(
            "evil" in labels.values()
            for rater, labels in prompt.raters.items()
            if rater != LEXICON and rater.startswith(HUMAN) == people
        )

    return {
        "found": len(prompts),
        "fit": sum(not prompt.rejected_by for prompt in prompts),
        "judged_evil": sum(evil(prompt, people=False) for prompt in prompts),
        "human_evil": sum(evil(prompt, people=True) for prompt in prompts),
        "complete": sum(prompt.state.complete for prompt in prompts),
        "divergent": sum(prompt.state.divergent for prompt in prompts),
    }


def agreed(table: xr.Dataset) -> dict[str, dict[str, float | None]]:
    """Metrics by pair of raters, over all domains; null where a measure is undefined."""
    pairs = zip(table["reference"].values.tolist(), table["rater"].values.tolist(), strict=True)
    values = table["value"].sel(domain=ALL).values
    return {
        f"{rater} against {reference}": {
            measure: None if np.isnan(value) else round(float(value), 4)
            for measure, value in zip(MEASURES, row, strict=True)
        }
        for (reference, rater), row in zip(pairs, values, strict=True)
    }


def summary(found: Resolved, agreement: xr.Dataset) -> dict[str, Any]:
    """Metrics: the funnel, labels by origin, agreement, and what people said that counts for nothing here."""
    prompts, people = found.labelled, found.people
    changes = Counter(prompt.state.change for prompt in prompts)
    origins = Counter((each.origin or "nobody", each.label) for prompt in prompts for each in prompt.counted)
    elsewhere = {prompt for of in people.labels.values() for prompt in of} - set(found.prompts)
    return {
        "funnel": funnel(prompts),
        "changes": {change: changes[change] for change in CHANGES},
        "labels": {f"{label}, by {origin}": n for (origin, label), n in sorted(origins.items())},
        "agreement": agreed(agreement),
        "orphaned_labels": len(people.orphaned),
        "labelled_prompts_of_other_profiles": len(elsewhere),
    }


def main(profile: str, params: Params) -> None:
    """Write the labels of a profile."""
    folder, chosen = artifacts(profile), params.labels
    manifest, events = read_manifest(folder / "models.json"), read_events()
    found = resolve(folder, manifest, events, chosen)
    draws = {
        f"{HUMAN}{author}": drawn_prompts(
            [event for event in events if event.author == author], found.prompts
        )
        for author in found.people.labels
    }
    how = Resampling(
        resamples=chosen.bootstrap,
        confidence=chosen.confidence,
        min_situations=chosen.min_situations,
        seed=params.runtime.seed,
    )
    groups = label_groups(found.labelled, found.raters) | agreement_groups(found, draws, how)
    # The queue decides what people are asked, and nothing that is written here.
    sections = {"labels": chosen.model_dump(exclude={"queue"}), "runtime": params.runtime.model_dump()}
    write_dataset(folder / LABELS.kind, LABELS, groups, provenance=provenance("labels", manifest, sections))
    metrics = summary(found, groups["agreement"]) | {"minutes_a_prompt": minutes_a_prompt(events)}
    both = [{"evil", "safe"} <= {each.label for each in prompt.counted} for prompt in found.labelled]
    write_metrics(folder, "labels", metrics, none_scored(profile, sum(both)))


if __name__ == "__main__":
    run_stage(main, Params)
