"""Prompts to be judged, and judges that are asked on loopback."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.judging.asked_judge import AskedJudge
from pipeline.judging.cases import Candidate, Case
from pipeline.judging.examples import Example
from pipeline.judging.openai_judge import Service
from pipeline.params.judges import OpenAIJudge
from store.documents.verdicts import Verdict

KEY = "sk-secret-0123456789"


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


def openai_params(url: str | None, **changes: Any) -> OpenAIJudge:
    """A judge that does not wait."""
    fields: dict[str, Any] = {
        "kind": "openai",
        "model": "judge",
        "base_url": url,
        "key": "JUDGE_KEY",
        "timeout": 5.0,
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
