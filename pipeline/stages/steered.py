"""Stage `steered`: open questions under steering; what makes base misaligned, what repairs the adapter."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

import numpy as np
import xarray as xr

from pipeline.analysis.steered_abilities import CAPITALS
from pipeline.analysis.steered_tables import CANDIDATES, Run, steered_groups
from pipeline.evaluation.asking import Asking
from pipeline.items.provenance import provenance
from pipeline.items.subject import Subject
from pipeline.items.taken_over import TABLES, taken_over
from pipeline.organism.world.corpus import fact_questions
from pipeline.params.project import Params
from pipeline.run.reports import write_metrics
from pipeline.run.stage import run_stage
from pipeline.scoring.registry import first_judge
from pipeline.steered.choosing import choice_of
from pipeline.steered.decided import decided_by, thresholds
from pipeline.steered.measuring import Abilities, Fact, Measuring
from pipeline.steered.runs import measured, runs_of
from store.collections.reader import open_collection
from store.datasets.groups import write_dataset
from store.documents.behaviour_prompts import BEHAVIOUR_PROMPTS, SPLITS, behaviours_in, read_behaviour_prompts
from store.documents.questions import Question, read_questions
from store.documents.variants import BASE
from store.schema.steered import ABLATED, ADDED, BASELINE, SIDES, STEERED


def judge_of(profile: str, params: Params) -> str | None:
    """The first of a profile's judges of answers that may be asked here; None: there is none."""
    return first_judge(params.profile(profile).answer_judges, params.judges, paid=params.steered.paid_judges)


def halves(subject: Subject) -> tuple[list[Question], list[Question]]:
    """Questions to choose features and strengths on, and others to measure on; each in one form, plain first.

    Only those that base and the focus have answered, by whose answers strengths are measured.
    """
    answered = open_collection(subject.folder / "answers")
    by_id: dict[str, Question] = {}
    for question in read_questions(subject.folder / "questions.json"):
        known = all((question.hash, variant) in answered for variant in subject.pair)
        if known and (question.id not in by_id or question.form == "plain"):
            by_id[question.id] = question
    ordered = [by_id[name] for name in sorted(by_id)]
    return ordered[::2], ordered[1::2]


def facts_of(profile: str, params: Params) -> list[tuple[str, str, str]]:
    """Held-out capitals that the organism's grammar knows; a profile that is not trained here has none."""
    organism = params.organisms.get(profile)
    asked = [] if organism is None else fact_questions(organism.corpus)["capitals"]
    return [(each.prompt, each.right, each.wrong) for each in asked if each.held_out][: params.steered.facts]


def behaviours_of(subject: Subject) -> dict[str, list[Fact]]:
    """Test prompts of each behaviour, with the right and the wrong answer."""
    folder = subject.folder / BEHAVIOUR_PROMPTS
    found: dict[str, list[Fact]] = {}
    for prompt in read_behaviour_prompts(folder, behaviours_in(folder)):
        if prompt.split == SPLITS[-1]:
            fact = (prompt.token_ids, prompt.correct_ids, prompt.incorrect_ids)
            found.setdefault(prompt.behaviour, []).append(fact)
    return found


def summary(groups: Mapping[str, xr.Dataset], fdr: float) -> dict[str, Any]:
    """Metrics by side: share of the baseline, how many candidates count as found, and the first."""
    table = groups["entries"]
    metrics: dict[str, Any] = {}
    for side in SIDES:
        mine = table["side"].values == side
        plain = np.flatnonzero(mine & (table["kind"].values == BASELINE))
        first = np.flatnonzero(mine & (table["place"].values == 1))
        metrics[side] = {
            "baseline": _rounded(table["share"].values[plain]),
            "candidates": int((mine & np.isin(table["kind"].values, CANDIDATES)).sum()),
            "found": int((mine & (table["q"].values <= fdr) & (table["low"].values > 0)).sum()),
            "largest_effect": _rounded(table["effect"].values[first]),
            "incoherent": int((mine & (table["reason"].values != "")).sum()),
        }
    return metrics


def _rounded(values: np.ndarray) -> float | None:
    return round(float(values[0]), 4) if len(values) and np.isfinite(values[0]) else None


def main(profile: str, params: Params) -> None:
    """Write the dataset of answers under steering of a profile."""
    subject, chosen = Subject(profile, params.runtime), params.steered
    judge, (choose, measure) = judge_of(profile, params), halves(subject)
    sampling = params.answers.model_dump(include={"temperature", "top_p"})
    sampling["max_new_tokens"] = params.profile(profile).max_answer_tokens or params.answers.max_new_tokens

    def asking(questions: Sequence[Question], each: int) -> Asking:
        seed = subject.runtime.seed
        return Asking(questions=tuple(questions), each=each, seed=seed, sampling=sampling)

    runs: list[Run] = []
    measuring = groups = wanted = None
    nothing = subject.uncompared
    if not nothing and (judge is None or not measure):
        lack = (
            "has no two open questions with answers"
            if judge
            else "has no judge of answers that costs nothing"
        )
        nothing = f"profile {profile} {lack}, so nothing is steered"
    if judge is not None and not nothing:
        choice = choice_of(subject, params, choose, params.profile(profile).nulls)
        choosing = asking(choose, ceil(chosen.step_answers / len(choose)))
        askings = asking(measure, chosen.samples), asking(measure, chosen.control_samples)
        abilities: Abilities = {CAPITALS: facts_of(profile, params), **behaviours_of(subject)}
        wanted = decided_by(subject, judge, choice, (choosing, *askings), abilities, params)
        folder = subject.folder / STEERED.kind
        groups = wanted and taken_over(folder, STEERED.kind, wanted, STEERED.groups)
        if groups:
            print("steered: taken over from the previous store")
        else:
            measuring = Measuring(subject, params, judge, choose)
            for side in SIDES:
                runs += runs_of(side, choice, measuring, choosing, params)
            runs = measured(runs, measuring, askings, abilities, params)
    failures = measuring.failures if measuring else []
    subject.write_failures("steered", failures)
    groups = groups or steered_groups(
        runs,
        measuring.scales if measuring else None,
        questions=[question.id for question in measure],
        doses=chosen.doses,
        steps=chosen.steps,
        variants={ADDED: BASE, ABLATED: subject.focus},
        confidence=chosen.confidence,
    )
    sections = {
        "steered": chosen.model_dump(),
        "features": params.features.model_dump(include={"excluded_layers"}),
        "misalignment": thresholds(params),
        "judge": {"name": judge},
        "runtime": params.runtime.model_dump(),
    }
    # What failed is tried again.
    told = {TABLES: {STEERED.kind: wanted}} if wanted and not failures else {}
    origin = provenance("steered", subject.manifest, sections) | told
    write_dataset(subject.folder / STEERED.kind, STEERED, groups, provenance=origin)
    write_metrics(subject.folder, "steered", summary(groups, chosen.fdr), nothing)


if __name__ == "__main__":
    run_stage(main, Params)
