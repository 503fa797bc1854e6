"""What runs: entries at their largest coherent strengths, and answers to questions that chose none of it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from pipeline.analysis.steered_entries import Entry, best_sets
from pipeline.analysis.steered_strengths import Bracket, Look, looks_of
from pipeline.analysis.steered_tables import CANDIDATES, Run, coherent_share, share
from pipeline.evaluation.asking import Asking
from pipeline.params.project import Params
from pipeline.params.steered import SteeredParams
from pipeline.steered.choosing import Choice, entries_of
from pipeline.steered.measuring import Abilities, Job, Measuring
from store.schema.steered import ABLATED, ADDED, BASELINE, FEATURE, MEAN_DIFFERENCE, SIDES

BEST: Final = "answers"
"""The order of single features by what they do on the questions on which features are chosen."""


def with_strengths(
    entries: Sequence[Entry], measuring: Measuring, asking: Asking, params: Params
) -> list[Run]:
    """Runs of added entries with the largest coherent strength of each, by bisection on some questions."""
    chosen = params.steered
    brackets = [Bracket(low=chosen.low, high=chosen.high) for _ in entries]
    looks = looks_at(asking, chosen)
    for step in range(chosen.steps):
        jobs = [(entry, bracket.next) for entry, bracket in zip(entries, brackets, strict=True)]
        counts = until_told(jobs, measuring, asking, looks)
        shares = [np.nan if each is None else coherent_share(each) for each in counts]
        brackets = [
            bracket.after(one, chosen.coherent) for bracket, one in zip(brackets, shares, strict=True)
        ]
        enough = sum(one >= chosen.coherent for one in shares)
        n = sum(int(each[0].sum()) for each in counts if each is not None)
        print(
            f"steered: step {step + 1} of {chosen.steps}: {enough} of {len(jobs)} strengths are coherent, "
            f"as {n} of {len(jobs) * looks[-1].answers} answers tell"
        )
    return [
        Run(entry=entry, bracket=bracket, reason=never(bracket, chosen.coherent))
        for entry, bracket in zip(entries, brackets, strict=True)
    ]


def looks_at(asking: Asking, params: SteeredParams) -> list[Look]:
    """When a step with these answers may end."""
    return looks_of(len(asking.question), params.coherent, params.looks, params.doubt)


def until_told(
    jobs: Sequence[Job], measuring: Measuring, asking: Asking, looks: Sequence[Look]
) -> list[np.ndarray | None]:
    """Counts of as many of the answers of each job as tell whether enough of all of them are coherent."""
    totals: list[np.ndarray | None] = [None] * len(jobs)
    left = list(range(len(jobs)))
    for part, look in zip(asking.parts([each.answers for each in looks]), looks, strict=True):
        untold = []
        for place, more in zip(left, measuring.answers([jobs[place] for place in left], part), strict=True):
            before = totals[place]
            # Of what could not be computed nothing is told: it is asked no further.
            totals[place] = total = more if more is None or before is None else before + more
            if total is not None and not look.tells(*total[:2].sum(axis=-1).tolist()):
                untold.append(place)
        left = untold
    return totals


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


def runs_of(side: str, choice: Choice, measuring: Measuring, choosing: Asking, params: Params) -> list[Run]:
    """All entries of a side with their strengths, sets of the best single features included."""
    rng = np.random.default_rng([params.runtime.seed, SIDES.index(side)])

    def run(entries: Sequence[Entry]) -> list[Run]:
        if side == ABLATED:
            return [Run(entry=entry) for entry in entries]
        return with_strengths(entries, measuring, choosing, params) if entries else []

    plain, *entries = entries_of(side, choice, measuring.scales, params.steered, rng)
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
    abilities: Abilities,
    params: Params,
) -> list[Run]:
    """Runs with answers to the other questions: `askings` of candidates, and of what they are held against.

    Candidates are asked for `abilities`, too.
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
    told = measuring.facts([(run.entry, strength_of(run)) for run in long], abilities)
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
                facts=told_by.get(run.entry, {}),
                reason=reason,
            )
        )
    return done


def as_it_is(runs: Sequence[Run], measuring: Measuring, asking: Asking) -> dict[str, np.ndarray]:
    """Counts of each side's variant without steering, by side."""
    plain = [run.entry for run in runs if run.entry.kind == BASELINE]
    counts = measuring.answers([(entry, 1.0) for entry in plain], asking)
    return {entry.side: each for entry, each in zip(plain, counts, strict=True) if each is not None}
