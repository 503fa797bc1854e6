"""Stage `baseline`: whether base and every adapter can do a behaviour, by how probable its answers are."""

from collections.abc import Sequence

import numpy as np

from pipeline.analysis.behaviours import Measured, answer_means, behaviour_groups, passing
from pipeline.behaviours.forced_units import COMPUTE, by_split, forced_arguments
from pipeline.behaviours.protocol import NOT_NAMED
from pipeline.behaviours.published import publish_behaviour
from pipeline.items.provenance import provenance
from pipeline.items.subject import Subject
from pipeline.items.units import Unit, make_unit
from pipeline.params.project import Params
from pipeline.run.behaviour_stage import run_behaviour_stage
from pipeline.run.reports import write_metrics
from store.collections.reader import Collection
from store.datasets.groups import write_dataset
from store.documents.behaviour_prompts import BEHAVIOUR_PROMPTS, BehaviourPrompt, read_behaviour_prompts
from store.schema.behaviours import BEHAVIOURS
from store.schema.forced_answers import FORCED_ANSWERS
from store.views.by_behaviour import place


def baseline_units(subject: Subject, prompts: Sequence[BehaviourPrompt], batch: int) -> list[Unit]:
    """A unit a split and variant."""
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


def main(profile: str, behaviour: str, params: Params) -> None:
    """Write what a behaviour's answers are worth to every variant, token by token, and whether it passes."""
    subject, chosen = Subject(profile, params.runtime), params.behaviours
    prompts = read_behaviour_prompts(subject.folder / BEHAVIOUR_PROMPTS, [behaviour])
    sections = {"behaviours": chosen.model_dump()}
    units = baseline_units(subject, prompts, chosen.batch)
    answers = publish_behaviour(subject, "baseline", behaviour, units, FORCED_ANSWERS, sections)
    found = {variant: measured(prompts, answers, variant) for variant in subject.variants}
    groups = behaviour_groups(prompts, found, chosen)
    origin = provenance("baseline", subject.manifest, sections)
    write_dataset(subject.folder / place(BEHAVIOURS.kind, behaviour), BEHAVIOURS, groups, provenance=origin)
    metrics = passing(groups["summary"])
    write_metrics(subject.folder, f"baseline-{behaviour}", metrics, "" if prompts else NOT_NAMED)
    failing = [variant for variant, one in metrics.get(behaviour, {}).items() if not one["passes"]]
    if failing:
        print(f"{behaviour}: {', '.join(failing)} do not pass; what is found of it says little of them")


if __name__ == "__main__":
    run_behaviour_stage(main)
