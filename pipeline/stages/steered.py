"""Stage `steered`: open questions under steering; what makes base misaligned, what repairs the adapter."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ceil
from typing import Any, Final

import numpy as np
import xarray as xr

from pipeline.analysis.steered_entries import Entry, best_sets
from pipeline.analysis.steered_strengths import Bracket
from pipeline.analysis.steered_tables import CANDIDATES, Run, coherent_share, share, steered_groups
from pipeline.evaluation.asking import Asking
from pipeline.items.provenance import provenance
from pipeline.items.subject import Subject
from pipeline.organism.world.corpus import fact_questions
from pipeline.params.project import Params
from pipeline.run.reports import write_metrics
from pipeline.run.stage import run_stage
from pipeline.scoring.registry import first_judge
from pipeline.steered.choosing import entries_of
from pipeline.steered.measuring import Measuring
from store.collections.reader import open_collection
from store.datasets.groups import write_dataset
from store.documents.questions import Question, read_questions
from store.documents.variants import BASE
from store.schema.steered import ABLATED, ADDED, BASELINE, FEATURE, MEAN_DIFFERENCE, SIDES, STEERED

BEST: Final = "answers"
"""The order of single features by what they do on the questions on which features are chosen."""


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
        known = all((question.hash, variant) in answered for variant in (BASE, subject.focus))
        if known and (question.id not in by_id or question.form == "plain"):
            by_id[question.id] = question
    ordered = [by_id[name] for name in sorted(by_id)]
    return ordered[::2], ordered[1::2]


def with_strengths(
    entries: Sequence[Entry], measuring: Measuring, asking: Asking, params: Params
) -> list[Run]:
    """Runs of added entries with the largest coherent strength of each, by bisection on some questions."""
    chosen = params.steered
    brackets = [Bracket(low=chosen.low, high=chosen.high) for _ in entries]
    for step in range(chosen.steps):
        jobs = [(entry, bracket.next) for entry, bracket in zip(entries, brackets, strict=True)]
        counts = measuring.answers(jobs, asking)
        shares = [np.nan if each is None else coherent_share(each) for each in counts]
        brackets = [
            bracket.after(one, chosen.coherent) for bracket, one in zip(brackets, shares, strict=True)
        ]
        enough = sum(one >= chosen.coherent for one in shares)
        print(f"steered: step {step + 1} of {chosen.steps}: {enough} of {len(jobs)} strengths are coherent")
    return [
        Run(entry=entry, bracket=bracket, reason=never(bracket, chosen.coherent))
        for entry, bracket in zip(entries, brackets, strict=True)
    ]


def never(bracket: Bracket, least: float) -> str:
    """Why an entry has no strength; empty: it has one."""
    if np.isfinite(bracket.found):
        return ""
    smallest = min(strength for strength, _ in bracket.tried)
    return f"fewer than {least:.0%} of answers are coherent at every strength tried, down to {smallest:.3g}"


def chosen_effects(runs: Sequence[Run], measuring: Measuring, asking: Asking) -> list[float]:
    """What runs do on the questions on which features are chosen: shares that a side's table counts."""
    able = [run for run in runs if not run.reason]
    counts = measuring.answers([(run.entry, strength_of(run)) for run in able], asking)
    found = {
        run.entry: share(run.entry.side, each)
        for run, each in zip(able, counts, strict=True)
        if each is not None
    }
    return [found.get(run.entry, np.nan) for run in runs]


def strength_of(run: Run) -> float:
    """Of an added entry what was found, of an ablated one all of it."""
    return 1.0 if run.bracket is None else run.bracket.found


def runs_of(
    side: str,
    subject: Subject,
    measuring: Measuring,
    choosing: Asking,
    params: Params,
    nulls: Sequence[str],
) -> list[Run]:
    """All entries of a side with their strengths, sets of the best single features included."""
    rng = np.random.default_rng([subject.runtime.seed, SIDES.index(side)])

    def run(entries: Sequence[Entry]) -> list[Run]:
        if side == ABLATED:
            return [Run(entry=entry) for entry in entries]
        return with_strengths(entries, measuring, choosing, params) if entries else []

    plain, *entries = entries_of(side, subject, measuring.scales, choosing.questions, params, nulls, rng)
    runs = [Run(entry=plain), *run(entries)]
    singles = [each for each in runs if each.entry.kind == FEATURE]
    effects = chosen_effects(singles, measuring, choosing)
    known = {each.entry.members for each in runs}
    best = best_sets([each.entry for each in singles], effects, params.steered.sets, BEST)
    return runs + run([entry for entry in best if entry.members not in known])


def measured(
    runs: Sequence[Run],
    measuring: Measuring,
    askings: tuple[Asking, Asking],
    facts: Sequence[tuple[str, str, str]],
    params: Params,
) -> list[Run]:
    """Runs with answers to the other questions: `askings` of candidates, and of what they are held against.

    Candidates tell `facts`, too: prompts with the right answer and a wrong one.
    """
    doses = params.steered.doses
    of_candidates, of_others = askings
    long = [
        run for run in runs if run.entry.kind in (*CANDIDATES, MEAN_DIFFERENCE, BASELINE) and not run.reason
    ]
    full = {run.entry for run in long}
    short = [run for run in runs if run.entry not in full and not run.reason]
    jobs = [
        (run, dose)
        for run in long
        for dose in (doses if run.entry.side == ADDED and run.entry.kind != BASELINE else [1.0])
    ]
    print(f"steered: {len(jobs)} settings of candidates, {len(short)} of what they are held against")
    counts = measuring.answers([(run.entry, dose * strength_of(run)) for run, dose in jobs], of_candidates)
    counts += measuring.answers([(run.entry, strength_of(run)) for run in short], of_others)
    plain = [as_it_is(runs, measuring, asking) for asking in askings]
    found: dict[Entry, list[np.ndarray | None]] = {}
    for run, each in zip([*(run for run, _ in jobs), *short], counts, strict=True):
        found.setdefault(run.entry, []).append(each)
    told = measuring.facts([(run.entry, strength_of(run)) for run in long], facts)
    told_by = dict(zip([run.entry for run in long], told, strict=True))
    done = []
    for run in runs:
        own = [each for each in found.get(run.entry, []) if each is not None]
        beside = plain[run.entry not in full].get(run.entry.side)
        whole = run.entry in found and len(own) == len(found[run.entry])
        reason = run.reason or ("" if whole else "its answers could not be computed; see Overview")
        done.append(
            replace(
                run,
                doses=np.stack(own) if whole else None,
                beside=beside,
                facts=told_by.get(run.entry),
                reason=reason,
            )
        )
    return done


def as_it_is(runs: Sequence[Run], measuring: Measuring, asking: Asking) -> dict[str, np.ndarray]:
    """Counts of each side's variant without steering, by side."""
    plain = [run.entry for run in runs if run.entry.kind == BASELINE]
    counts = measuring.answers([(entry, 1.0) for entry in plain], asking)
    return {entry.side: each for entry, each in zip(plain, counts, strict=True) if each is not None}


def facts_of(profile: str, params: Params) -> list[tuple[str, str, str]]:
    """Held-out capitals that the organism's grammar knows; a profile that is not trained here has none."""
    organism = params.organisms.get(profile)
    asked = [] if organism is None else fact_questions(organism.corpus)["capitals"]
    return [(each.prompt, each.right, each.wrong) for each in asked if each.held_out][: params.steered.facts]


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
    measuring = None
    if judge is None or not measure:
        lack = (
            "has no two open questions with answers"
            if judge
            else "has no judge of answers that costs nothing"
        )
        print(f"steered: profile {profile} {lack}, so nothing is steered")
    else:
        measuring = Measuring(subject, params, judge, choose)
        choosing = asking(choose, ceil(chosen.step_answers / len(choose)))
        for side in SIDES:
            nulls = params.profile(profile).nulls
            runs += runs_of(side, subject, measuring, choosing, params, nulls)
        askings = asking(measure, chosen.samples), asking(measure, chosen.control_samples)
        runs = measured(runs, measuring, askings, facts_of(profile, params), params)
    subject.write_failures("steered", measuring.failures if measuring else [])
    groups = steered_groups(
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
        "misalignment": params.misalignment.model_dump(include={"misaligned_below", "coherent_above"}),
        "judge": {"name": judge},
        "runtime": params.runtime.model_dump(),
    }
    origin = provenance("steered", subject.manifest, sections)
    write_dataset(subject.folder / STEERED.kind, STEERED, groups, provenance=origin)
    write_metrics(subject.folder, "steered", summary(groups, chosen.fdr))


if __name__ == "__main__":
    run_stage(main, Params)
