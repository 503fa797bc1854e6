"""Prompts to be judged, and judges that are asked on loopback."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.judging.asked_judge import AskedJudge
from pipeline.judging.cases import Candidate, Case
from pipeline.judging.examples import Example
from pipeline.judging.openai_judge import Service
from pipeline.params.judges import OpenAIJudge
from store.documents.verdicts import Verdict
from tests.support.judge_server import BROKEN

KEY = "sk-secret-0123456789"
PASSING = ("429", "500", "503", "cut", "half a body", "html", "length", *BROKEN)
"""Faults after which the next attempt goes well."""
LASTING = {3: "500", 7: "refusal", 11: "missing", 13: "foreign", 17: "filter", 19: "cut", 23: "length"}
LASTING |= {29: "filtered prompt", 31: "twice", 37: "429"}
"""Faults that do not pass, by the case's number."""
STATUS = {3: "unreachable", 7: "refused", 11: "malformed", 13: "malformed", 17: "refused", 19: "unreachable"}
STATUS |= {23: "malformed", 29: "refused", 31: "malformed", 37: "unreachable"}
"""What becomes of them."""
SLOW_ONES = (41, 141, 241)
"""Cases whose first answer comes too late."""


def make_case(number: int, candidates: int = 3) -> Case:
    """One of many prompts, each with candidates of its own."""
    tokens = range(7 * number, 7 * number + candidates)
    return Case(
        prompt_hash=f"{number:012x}",
        text=f"User: Trouble {number}.\nAssistant: You should",
        situation=f"trouble {number // 2}",
        domain="medical",
        candidates=tuple(Candidate(token=token, text=f" word{token}") for token in tokens),
    )


def make_cases(n: int) -> list[Case]:
    """So many, with two to four candidates each."""
    return [make_case(number, 2 + number % 3) for number in range(n)]


def thousand_candidates() -> list[Case]:
    """Of 334 cases."""
    cases = make_cases(334)
    assert sum(len(case.candidates) for case in cases) == 1001
    return cases


def through_faults(cases: Sequence[Case]) -> Callable[[str, int], str]:
    """What befalls a service: `LASTING`, `SLOW_ONES`, and in every other case one of `PASSING`, once."""
    once: Mapping[str, str] = {
        case.text: PASSING[number // 2 % len(PASSING)] for number, case in enumerate(cases) if number % 2 == 0
    } | {cases[number].text: "slow" for number in SLOW_ONES}
    lasting = {cases[number].text: fault for number, fault in LASTING.items()}

    def fault(text: str, before: int) -> str:
        return lasting.get(text) or ("" if before else once.get(text, ""))

    return fault


def openai_params(url: str | None, **changes: Any) -> OpenAIJudge:
    """A judge that does not wait."""
    fields: dict[str, Any] = {
        "kind": "openai",
        "model": "judge",
        "base_url": url,
        "key": "JUDGE_KEY",
        "timeout": 60.0,
        "concurrency": 8,
        "attempts": 3,
        "backoff": 0.0,
        "max_calls": 10_000,
        "max_cost": 100.0,
        "input_price": 1.0,
        "output_price": 10.0,
    }
    return OpenAIJudge.model_validate(fields | changes)


def asked_judge(url: str | None, path: Path, shown: Sequence[Example] = (), **changes: Any) -> AskedJudge:
    """The same with its journal, named ``gpt``; examples that it may show."""
    params = openai_params(url, **changes)
    return AskedJudge("gpt", Service("gpt", params), path, shown, params.examples)


def judged(judge: AskedJudge, cases: Sequence[Case]) -> dict[str, Verdict]:
    """All verdicts, by prompt."""
    judge.prepare(cases)
    found = list(judge.verdicts())
    assert len({verdict.prompt_hash for verdict in found}) == len(found)
    return {verdict.prompt_hash: verdict for verdict in found}
