"""What a judge behind an API may cost: told before, paid for what was asked, kept where it ends."""

import json
from pathlib import Path

import pytest

from store.base.errors import UserError
from tests.support.judge_server import JudgeServer
from tests.support.judging import asked_judge, judged, make_case, make_cases


def test_limits_are_told_before_the_first_call(
    server: JudgeServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, cases = tmp_path / "gpt.jsonl", make_cases(10)
    with pytest.raises(UserError, match=r"10 calls are needed, but max_calls is 9; raise it"):
        asked_judge(server.url, path, max_calls=9).prepare(cases)
    with pytest.raises(UserError, match=r"10 calls may cost \d+\.\d\d, but max_cost is 0\.01; raise it"):
        asked_judge(server.url, path, max_cost=0.01).prepare(cases)
    assert not capsys.readouterr().out
    asked_judge(server.url, path).prepare(cases)
    assert f"judge gpt: 10 calls of judge at {server.url}, for about 0." in capsys.readouterr().out
    assert not server.received


@pytest.mark.parametrize(
    ("limit", "changes", "calls", "judged_"),
    [
        # Each is malformed once: ten calls were expected, and twenty would be needed.
        ("max_calls", {"max_calls": 12}, 12, 6),
        # None is ever read: 0.90 was expected, and each call costs 0.01.
        ("max_cost", {"max_cost": 0.955, "input_price": 0.0, "output_price": 1000.0, "attempts": 20}, 96, 0),
    ],
)
def test_a_limit_that_repeats_pass_ends_the_run_and_keeps_what_was_paid(
    server: JudgeServer, tmp_path: Path, limit: str, changes: dict[str, object], calls: int, judged_: int
) -> None:
    server.fault = lambda text, before: "" if before and limit == "max_calls" else "prose"
    path, cases = tmp_path / "gpt.jsonl", [make_case(number, 1) for number in range(10)]
    with pytest.raises(UserError, match=rf"{limit} is reached after {calls} calls for .*kept"):
        judged(asked_judge(server.url, path, concurrency=1, **changes), cases)
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(server.received) == calls == sum(record["usage"]["calls"] for record in records)
    assert sum(record["answer"]["status"] == "judged" for record in records) == judged_


@pytest.mark.parametrize("fault", ["uncounted prose", "cut", "html"])
def test_what_is_not_counted_is_paid_as_it_was_expected(
    server: JudgeServer, tmp_path: Path, api: str, fault: str
) -> None:
    """So the limit of money holds for a service that counts no tokens, and for answers that got lost."""
    server.fault = lambda text, before: fault
    prices = {"input_price": 0.0, "output_price": 1000.0}
    judge = asked_judge(
        server.url, tmp_path / "gpt.jsonl", api=api, concurrency=1, attempts=9, max_cost=0.2, **prices
    )
    # 0.09 a call where there is one candidate; the service would count 0.01.
    with pytest.raises(UserError, match=r"max_cost is reached after 3 calls for 0\.27"):
        judged(judge, [make_case(1, 1)])


def test_a_service_need_not_count(server: JudgeServer, tmp_path: Path, api: str) -> None:
    server.fault = lambda text, before: "uncounted"
    judge = asked_judge(server.url, tmp_path / "gpt.jsonl", api=api)
    assert {each.status for each in judged(judge, make_cases(3)).values()} == {"judged"}
    assert judge.usage().model_dump() == {"calls": 3, "input_tokens": 0, "output_tokens": 0}
