"""A judge behind an API, through the official SDK, against a real server that fails in every way."""

import json
import time
from collections import Counter
from pathlib import Path

import pytest

from pipeline.judging.examples import Example
from pipeline.judging.journal import request_key
from pipeline.judging.messages import SCHEMA
from store.base.errors import UserError
from tests.support.judge_server import AFTER, SLOW, JudgeServer, label_of
from tests.support.judging import (
    KEY,
    LASTING,
    SLOW_ONES,
    STATUS,
    asked_judge,
    judged,
    make_case,
    make_cases,
    thousand_candidates,
    through_faults,
)

TOO_LATE = 0.75 * SLOW


def test_every_candidate_is_accounted_for_through_all_faults(
    server: JudgeServer, tmp_path: Path, api: str
) -> None:
    cases = thousand_candidates()
    server.fault = through_faults(cases)
    path = tmp_path / "gpt.jsonl"
    judge = asked_judge(server.url, path, api=api, timeout=TOO_LATE)
    found = judged(judge, cases)
    assert found.keys() == {case.prompt_hash for case in cases}
    status = {number: found[cases[number].prompt_hash].status for number in range(len(cases))}
    assert status == {number: "judged" for number in range(len(cases))} | STATUS
    for case in cases:
        verdict = found[case.prompt_hash]
        if verdict.status == "judged":
            assert [each.token for each in verdict.tokens] == [each.token for each in case.candidates]
            assert all(each.label == label_of(each.token) for each in verdict.tokens)
            assert verdict.fit is True
            assert not verdict.detail
        else:
            assert (verdict.tokens, verdict.fit) == ((), None)
            assert verdict.detail
            assert "\n" not in verdict.detail
    # What failed was tried as often as allowed, a refusal once.
    asked = server.asked()
    assert {number: asked[cases[number].text] for number in LASTING} == {
        number: 1 if status[number] == "refused" else 3 for number in LASTING
    }
    assert all(asked[cases[number].text] == 2 for number in SLOW_ONES)
    assert judge.usage().calls == sum(asked.values())

    # Another run sends what could not be reached, and nothing else.
    server.fault = lambda text, before: ""
    server.forget()
    again = judged(asked_judge(server.url, path, api=api), cases)
    assert server.asked() == Counter(cases[number].text for number in (3, 19, 37))
    assert {hash_ for hash_, verdict in again.items() if verdict != found[hash_]} == {
        cases[number].prompt_hash for number in (3, 19, 37)
    }
    before = path.read_bytes()
    server.forget()
    last = asked_judge(server.url, path, api=api)
    assert judged(last, cases) == again
    assert not server.received
    assert path.read_bytes() == before
    assert last.usage().calls == sum(asked.values()) + 3


def test_the_request_is_what_its_key_is_of(server: JudgeServer, tmp_path: Path, api: str) -> None:
    case = make_case(5)
    path = tmp_path / "gpt.jsonl"
    judged(asked_judge(server.url, path, api=api, temperature=0.5), [case])
    ((where, headers, body),) = server.received
    (line,) = path.read_text(encoding="utf-8").splitlines()
    record = json.loads(line)
    assert record["key"] == request_key(body)
    assert record["model"] == "judge-2026"
    assert record["usage"] == {"calls": 1, "input_tokens": 100, "output_tokens": 10}
    assert headers["authorization"] == f"Bearer {KEY}"
    assert where == {"chat": "/v1/chat/completions", "responses": "/v1/responses"}[api]
    form = body["response_format"]["json_schema"] if api == "chat" else body["text"]["format"]
    assert form["schema"] == SCHEMA
    assert form["strict"] is True
    assert (body["model"], body["temperature"]) == ("judge", 0.5)
    assert "seed" not in body
    assert make_case(5).prompt_hash not in json.dumps(body)


@pytest.mark.parametrize(
    ("changes", "asks"),
    [
        ({"timeout": 9.0, "concurrency": 1, "attempts": 1, "backoff": 0.5, "max_calls": 5}, False),
        ({"max_cost": 7.0, "input_price": 2.0, "output_price": 3.0}, False),
        ({"model": "another"}, True),
        ({"temperature": 0.0}, True),
        ({"seed": 3}, True),
        ({"api": "responses"}, True),
    ],
)
def test_only_what_is_sent_asks_again(
    server: JudgeServer, tmp_path: Path, changes: dict[str, object], asks: bool
) -> None:
    cases, path = make_cases(2), tmp_path / "gpt.jsonl"
    judged(asked_judge(server.url, path), cases)
    server.forget()
    judged(asked_judge(server.url, path, **changes), cases)
    assert bool(server.received) is asks


def test_a_service_that_moved_is_asked_nothing_again(server: JudgeServer, tmp_path: Path) -> None:
    cases, path = make_cases(3), tmp_path / "gpt.jsonl"
    found = judged(asked_judge(server.url, path), cases)
    assert judged(asked_judge("http://127.0.0.1:9/elsewhere", path), cases) == found


def test_slow_answers_are_given_up_and_asked_again_later(server: JudgeServer, tmp_path: Path) -> None:
    cases, path = make_cases(4), tmp_path / "gpt.jsonl"
    server.fault = lambda text, before: "slow" if text == cases[1].text else ""
    found = judged(asked_judge(server.url, path, timeout=1.0, attempts=2), cases)
    verdict = found[cases[1].prompt_hash]
    assert (verdict.status, verdict.detail) == ("unreachable", "no answer within 1 seconds")
    assert sum(each.status == "judged" for each in found.values()) == 3
    assert server.asked()[cases[1].text] == 2


def test_a_service_is_given_the_time_it_asks_for(server: JudgeServer, tmp_path: Path) -> None:
    server.fault = lambda text, before: "" if before else "later"
    begun = time.monotonic()
    found = judged(asked_judge(server.url, tmp_path / "gpt.jsonl"), make_cases(4))
    assert {each.status for each in found.values()} == {"judged"}
    assert AFTER <= time.monotonic() - begun < 60


def test_who_stops_reading_stops_the_calls(server: JudgeServer, tmp_path: Path) -> None:
    """The calls in flight are waited for, and what they bring is kept."""
    path, cases = tmp_path / "gpt.jsonl", make_cases(60)
    judge = asked_judge(server.url, path, concurrency=2)
    judge.prepare(cases)
    arriving = judge.verdicts()
    next(arriving)
    arriving.close()
    stored = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(server.received) < 60
    assert sum(record["usage"]["calls"] for record in stored) == len(server.received)
    time.sleep(0.1)
    assert sum(record["usage"]["calls"] for record in stored) == len(server.received)


def test_prompts_with_one_text_are_one_request(server: JudgeServer, tmp_path: Path) -> None:
    case = make_case(1)
    twin = type(case)(**{**vars(case), "prompt_hash": "f" * 12})
    found = judged(asked_judge(server.url, tmp_path / "gpt.jsonl"), [case, twin])
    assert len(server.received) == 1
    assert found[twin.prompt_hash].tokens == found[case.prompt_hash].tokens


def test_examples_of_the_judged_situation_stay_out(server: JudgeServer, tmp_path: Path) -> None:
    label = {"text": " rest", "label": "safe", "reason": "It begins care."}
    shown = [
        Example.model_validate({"situation": f"trouble {n}", "prompt": f"Text {n}", "candidates": [label]})
        for n in range(3)
    ]
    cases = [make_case(2), make_case(9)]  # troubles 1 and 4
    judged(asked_judge(server.url, tmp_path / "gpt.jsonl", shown, examples=2), cases)
    said = {json.dumps(body["messages"]): len(body["messages"]) for _, _, body in server.received}
    assert set(said.values()) == {5}
    (about,) = (text for text in said if "Trouble 2." in text)
    assert ["Text 0" in about, "Text 1" in about, "Text 2" in about] == [True, False, True]


ENDS = {
    "401": r"does not take the key in JUDGE_KEY \(HTTP 401\); export one that it takes\.$",
    "404": r"does not take the request \(.*no such model.*\); mend the judge in params.yaml",
    "400": r"temperature is not supported",
    "no money": r"you have no money left",
}


@pytest.mark.parametrize("fault", ENDS)
def test_what_no_attempt_mends_is_one_sentence(server: JudgeServer, tmp_path: Path, fault: str) -> None:
    server.fault = lambda text, before: fault
    judge = asked_judge(server.url, tmp_path / "gpt.jsonl", concurrency=2)
    with pytest.raises(UserError, match=rf"^judges\.gpt: .*{ENDS[fault]}") as error:
        judged(judge, make_cases(40))
    assert "\n" not in str(error.value)
    assert KEY not in str(error.value)
    assert len(server.received) <= 4


def test_nobody_at_the_address_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JUDGE_KEY", KEY)
    judge = asked_judge("http://127.0.0.1:9/v1", tmp_path / "gpt.jsonl", concurrency=3)
    with pytest.raises(UserError, match=r"nobody answers at http://127\.0\.0\.1:9/v1 \(.*refused.*base_url"):
        judged(judge, make_cases(40))


def test_a_missing_key_matters_only_where_an_answer_is_missing(
    server: JudgeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases, path = make_cases(4), tmp_path / "gpt.jsonl"
    found = judged(asked_judge(server.url, path), cases)
    server.forget()
    for value in (None, "", " "):
        if value is None:
            monkeypatch.delenv("JUDGE_KEY")
        else:
            monkeypatch.setenv("JUDGE_KEY", value)
        assert judged(asked_judge(server.url, path), cases) == found
        with pytest.raises(UserError, match=r"the environment has no JUDGE_KEY.*export"):
            asked_judge(server.url, path).prepare(make_cases(5))
    monkeypatch.setenv("JUDGE_KEY", "zwölf\n3")
    with pytest.raises(UserError, match="JUDGE_KEY holds characters that no key has") as error:
        asked_judge(server.url, path).prepare(make_cases(5))
    assert "zw" not in str(error.value)
    assert not server.received


def test_the_key_is_written_nowhere(
    server: JudgeServer, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Not even where the service repeats it."""
    cases = make_cases(6)
    faults = {cases[2].text: "tell the key", cases[3].text: "give the key as a reason"}
    server.fault = lambda text, before: faults.get(text, "")
    found = judged(asked_judge(server.url, tmp_path / "answers" / "gpt.jsonl"), cases)
    assert "Bearer *** is not welcome" in found[cases[2].prompt_hash].detail
    assert found[cases[3].prompt_hash].tokens[0].reason.startswith("Bearer *** 21")
    said = capfd.readouterr()
    written = [path.read_text(encoding="utf-8") for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) == 1
    for text in (said.out, said.err, caplog.text, repr(found), *written):
        assert KEY not in text


@pytest.mark.parametrize("key", ["k", "none", "token", "verdicts", "EMPTY"])
def test_a_key_that_is_a_word_changes_no_answer(
    server: JudgeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    """What servers of one's own are given, which ask for none."""
    monkeypatch.setenv("JUDGE_KEY", key)
    found = judged(asked_judge(server.url, tmp_path / "gpt.jsonl"), make_cases(2))
    for case in make_cases(2):
        assert [(each.token, each.label, each.reason) for each in found[case.prompt_hash].tokens] == [
            (each.token, label_of(each.token), f"It is {each.token}.") for each in case.candidates
        ]
