"""Stage `baseline`: what base and every adapter can do, by how probable right and wrong answers are."""

from collections.abc import Sequence

import numpy as np

from pipeline.analysis.behaviours import Measured, answer_means, behaviour_groups, passing
from pipeline.behaviours.forced_units import COMPUTE, by_split, forced_arguments
from pipeline.behaviours.protocol import UNNAMED
from pipeline.items.provenance import provenance
from pipeline.items.subject import Subject
from pipeline.items.units import Unit, make_unit
from pipeline.params.project import Params
from pipeline.run.reports import write_metrics
from pipeline.run.stage import run_stage
from store.collections.reader import Collection, open_collection
from store.datasets.groups import write_dataset
from store.documents.behaviour_prompts import (
    BEHAVIOUR_PROMPTS,
    BehaviourPrompt,
    behaviours_in,
    read_behaviour_prompts,
)
from store.schema.behaviours import BEHAVIOURS
from store.schema.forced_answers import FORCED_ANSWERS


def baseline_units(subject: Subject, prompts: Sequence[BehaviourPrompt], batch: int) -> list[Unit]:
    """A unit a behaviour, split and variant."""
    return [
        make_unit(
            COMPUTE,
            prompt_hash=of,
            token_ids=(),
            variants=[variant],
            outputs=[(FORCED_ANSWERS.kind, variant)],
            arguments=forced_arguments(part, batch),
            manifest=subject.manifest,
            runtime=subject.runtime,
        )
        for variant in subject.variants
        for of, part in by_split(prompts).items()
    ]


def measured(prompts: Sequence[BehaviourPrompt], answers: Collection, variant: str) -> Measured:
    """What a variant does on the prompts; NaN on those that could not be computed."""
    columns = {name: np.full(len(prompts), np.nan) for name in ("correct", "incorrect", "decision")}
    start = 0
    for of, part in by_split(prompts).items():
        rows = slice(start, start + len(part))
        start += len(part)
        if (of, variant) in answers:
            item = answers.item(of, variant)
            means = answer_means(item.arrays["log_prob"], item.arrays["answer_start"])
            columns["correct"][rows], columns["incorrect"][rows] = means
            columns["decision"][rows] = item.arrays["decision"]
    return Measured(**columns)


def main(profile: str, params: Params) -> None:
    """Write what answers' tokens are worth to every variant, and the tables of what it can do."""
    subject, chosen = Subject(profile, params.runtime), params.behaviours
    folder = subject.folder / BEHAVIOUR_PROMPTS
    prompts = read_behaviour_prompts(folder, behaviours_in(folder))
    sections = {"behaviours": chosen.model_dump()}
    units = baseline_units(subject, prompts, chosen.batch)
    failures = subject.publish("baseline", units, [FORCED_ANSWERS], sections)
    subject.write_failures("baseline", failures)
    answers = open_collection(subject.folder / FORCED_ANSWERS.kind)
    found = {variant: measured(prompts, answers, variant) for variant in subject.variants}
    groups = behaviour_groups(prompts, found, chosen)
    origin = provenance("baseline", subject.manifest, sections)
    write_dataset(subject.folder / BEHAVIOURS.kind, BEHAVIOURS, groups, provenance=origin)
    metrics = passing(groups["summary"])
    write_metrics(subject.folder, "baseline", metrics, "" if prompts else UNNAMED)
    for behaviour, of in metrics.items():
        failing = [variant for variant, one in of.items() if not one["passes"]]
        if failing:
            print(f"{behaviour}: {', '.join(failing)} do not pass; what is found of it says little of them")


if __name__ == "__main__":
    run_stage(main, Params)
