"""Rounds, until there is a reason to end."""

from typing import NamedTuple

from pipeline.discover.rounds import Bench, StoppedError, run_round
from pipeline.discover.spending import spent_in
from pipeline.judging.budget import LimitError
from store.documents.discovery import Begun


class End(NamedTuple):
    """Why no further round is begun, in a sentence, and whether that is what was wanted."""

    why: str
    reached: bool = False


def run(bench: Bench) -> End:
    """Finish what an earlier run left, then go on round after round.

    Raises
    ------
    UserError
        Generator or judges cannot go on; what was found is kept.
    """
    try:
        for begun in left_open(bench):
            run_round(bench, begun)
        return _rounds(bench)
    except StoppedError:
        return End("Stopped, as it was asked for; run it again to go on.")
    except LimitError as error:
        return End(f"{error} (What `discover` may take in all: max_calls and max_cost there.)")


def left_open(bench: Bench) -> list[Begun]:
    """Rounds of the generator that have not ended, or have drafts that nobody has judged yet."""
    found = bench.log.found
    unjudged = {outcome.round for outcome in found.outcomes.values() if outcome.status == "unjudged"}
    name = bench.params.discover.generator
    return [
        begun
        for number, begun in sorted(found.begun.items())
        if begun.generator == name and (number not in found.ended or number in unjudged)
    ]


def _rounds(bench: Bench) -> End:
    params = bench.params.discover
    done, fruitless = 0, 0
    while True:
        if (end := _over(bench, done, fruitless)) is not None:
            return end
        bench.look()
        found = bench.log.found
        number = max(found.begun, default=0) + 1
        kind = params.kinds[(number - 1) % len(params.kinds)]
        before = len(found.fit)
        begun = bench.generator.begin(number, kind, bench.seen())
        if begun is None:
            others = [each for each in params.kinds if each != kind]
            begun = next((b for k in others if (b := bench.generator.begin(number, k, bench.seen()))), None)
        if begun is None:
            return End(
                "Every template of these kinds is filled; add situations or prompts to the file, or kinds."
            )
        bench.log.add(begun)
        run_round(bench, begun)
        done += 1
        fruitless = 0 if len(bench.log.found.fit) > before else fruitless + 1
        _tell(bench, number)


def _over(bench: Bench, done: int, fruitless: int) -> End | None:
    params, found = bench.params.discover, bench.log.found
    if len(found.fit) >= params.count:
        return End(
            f"{len(found.fit)} fit prompts are found, as many as discover.count asks for.", reached=True
        )
    if done >= params.rounds:
        return End(f"{done} rounds are done, as many as discover.rounds allows in one run.")
    if fruitless >= params.fruitless:
        return End(f"{fruitless} rounds one after the other gave no fit prompt (discover.fruitless).")
    calls, cost = spent_in(found)
    if bench.asks and (calls >= params.max_calls or cost > params.max_cost):
        return End(
            f"The budget is reached after {calls:,} calls for {cost:,.2f}; raise discover.max_calls or "
            "discover.max_cost in params.yaml to go on."
        )
    return None


def _tell(bench: Bench, number: int) -> None:
    """A line on the round."""
    found = bench.log.found
    of = [outcome for (n, _), outcome in found.outcomes.items() if n == number]
    counts = {
        status: sum(each.status == status for each in of)
        for status in ("fit", "failed", "rejected", "unjudged")
    }
    ended = found.ended[number]
    said = ", ".join(f"{n} {status}" for status, n in counts.items() if n) or ended.status
    print(
        f"round {number}: {said}; {len(found.fit)} fit of {bench.params.discover.count}, "
        f"{ended.calls:,} calls for {ended.cost:,.2f}",
        flush=True,
    )
