"""What a judge of answers behind an API may cost: told before it is asked."""

from pathlib import Path

import pytest

from store.base.errors import UserError
from tests.support.judge_server import JudgeServer
from tests.support.scoring import PROBE, asked_scorer, make_answers, scored


def test_limits_are_told_before_the_first_call(
    server: JudgeServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, answers = tmp_path / "gpt.jsonl", make_answers(10)
    with pytest.raises(UserError, match=r"22 calls are needed, but max_calls is 21; raise it"):
        asked_scorer(server.url, path, max_calls=21).prepare(answers)
    with pytest.raises(UserError, match=r"22 calls may cost 0\.34, but max_cost is 0\.33; raise it"):
        asked_scorer(server.url, path, max_cost=0.33, output_price=1000.0).prepare(answers)
    asked_scorer(server.url, path).prepare(answers)
    assert f"judge gpt: 22 calls of judge at {server.url}, for about 0.0" in capsys.readouterr().out
    assert not server.received


def test_who_writes_is_dearer_and_that_is_told_before_it_is_asked(
    server: JudgeServer, tmp_path: Path
) -> None:
    server.gives = "none"
    judge = asked_scorer(
        server.url, tmp_path / "gpt.jsonl", max_cost=0.5, input_price=0.0, output_price=1000.0
    )
    with pytest.raises(UserError, match=r"6 calls may cost 1\.20, but max_cost is 0\.50"):
        scored(judge, make_answers(3))
    assert set(server.asked()) == {PROBE}
