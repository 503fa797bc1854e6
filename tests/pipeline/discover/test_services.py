"""A generator and a judge behind HTTP that answer badly in every way: the loop ends, and nothing is lost."""

import json
from typing import Any

import pytest

from pipeline.discover.program import discover
from pipeline.labels.events import TokenEvent, stamp
from pipeline.labels.journal import append
from store.base.errors import UserError
from store.documents.discovery import Outcome
from store.documents.token_texts import read_token_texts, tokenizer_fingerprint
from tests.support.discovery import (
    FOLDER,
    GENERATED,
    OWN,
    WRITER,
    found,
    given_params,
    lines,
    written,
)
from tests.support.judge_server import SLOW, JudgeServer

pytestmark = pytest.mark.usefixtures("project")


def by_round(status: str = "fit") -> dict[int, int]:
    numbers = [outcome.round for outcome in found().outcomes.values() if outcome.status == status]
    return {number: numbers.count(number) for number in sorted(set(numbers))}


def test_bad_answers_of_every_kind_come_to_something_each(server: JudgeServer) -> None:
    long = {"text": "word " * 10_000 + "so", "situation": "long", "domain": "home"}
    chat = {"user": "Hello", "assistant": "I will", "situation": "chat", "domain": "home"}
    own = {"text": OWN, "situation": "a fever", "domain": "home"}
    near = {**own, "text": OWN.replace("fever", "fevers")}
    ended = {**own, "text": "That is all, it is done."}
    nothing = {**own, "text": " "}
    of_round: dict[int, Any] = {
        1: written(1),
        2: written(1),
        3: [chat, 7, "text", None, {"text": 3, "situation": "x", "domain": "home"}],
        4: [long],
        5: [],
        6: [own, near, ended, nothing],
        7: {"no": "list"},
        12: [*written(12, 3), *written(13, 9)],
    }
    faults = {"round 8": "prose", "round 9": "429", "round 10": "slow", "round 11": "refusal"}

    def fault(about: str, before: int) -> str:
        if about in {"round 13", "round 14"}:
            return "" if before else {"round 13": "429", "round 14": "half"}[about]
        if about.startswith("birch 11"):
            return "500"  # of the judge, for good
        return faults.get(about, "")

    server.fault = fault
    server.drafts = lambda number: of_round.get(number, written(number))
    params = given_params(
        (WRITER,), url=server.url, timeout=1.0, generator=WRITER, count=100, rounds=14, a_round=5
    )
    end = discover("mine", params)
    assert "14 rounds are done" in end.why
    got = found()
    assert got.begun.keys() == got.ended.keys() == set(range(1, 15))
    status = {number: each.status for number, each in got.ended.items()}
    assert {number for number, each in status.items() if each == "malformed"} == {5, 7, 8}
    assert {number for number, each in status.items() if each == "unreachable"} == {9, 10}
    assert status[11] == "refused"
    assert all(got.ended[number].detail for number in (5, 7, 8, 9, 10, 11))
    rules = {
        number: [outcome.rule for (n, _), outcome in got.outcomes.items() if n == number]
        for number in got.begun
    }
    assert rules[2] == ["duplicate"] * 3
    assert rules[3] == ["form"] * 5
    assert rules[4] in (["form"], ["length"])
    assert rules[6] == ["duplicate", "near duplicate", "ending", "form"]
    assert len(rules[12]) == 5
    assert "7 more than asked for" in got.ended[12].detail
    assert rules[1] != ["unjudged"] * 3
    assert by_round().keys() <= {1, 12, 13, 14}
    assert len(lines()) == len(got.fit) > 0
    assert {line["origin"]["request"] for line in lines()} <= {each.request for each in got.begun.values()}
    assert sum(each.calls for each in got.ended.values()) == len(server.received)
    # Nothing is generated or paid twice: another run asks for new rounds alone.
    asked = server.asked()
    server.forget()
    server.fault = lambda about, before: ""
    discover(
        "mine", given_params((WRITER,), url=server.url, generator=WRITER, count=100, rounds=1, a_round=5)
    )
    assert "round 15" in server.asked()
    assert not [about for about in server.asked() if about in asked]


def test_what_no_judge_answered_is_judged_in_the_next_run(server: JudgeServer) -> None:
    server.drafts = written
    lost = written(1)[0]["text"]
    server.fault = lambda about, before: "500" if about == lost else ""
    params = given_params((WRITER,), url=server.url, generator=WRITER, rounds=1)
    discover("mine", params)
    assert by_round("unjudged") == {1: 1}
    first = found().ended[1]
    assert len(lines()) == 2
    GENERATED.write_text("")  # by a person, who does not want them
    server.fault = lambda about, before: ""
    server.forget()
    discover("mine", given_params((WRITER,), url=server.url, generator=WRITER, rounds=1))
    assert not by_round("unjudged")
    assert server.asked()["round 1"] == 0
    assert [line["prompt"] for line in lines() if line["origin"]["round"] == 1] == [lost]
    # Attempts that failed were counted once, and those of now are counted, too.
    assert first.calls == 1 + 2 + 2
    assert found().ended[1].calls == first.calls + 1


def label_whole(outcome: Outcome) -> None:
    """Ada calls every candidate of a prompt what the rubric calls it."""
    texts = read_token_texts(FOLDER / "vocabulary.json")
    said: dict[str, Any] = {"kind": "token", "state": "submitted", "prompt_hash": outcome.prompt_hash}
    said["tokenizer"] = tokenizer_fingerprint(texts)
    events = [
        TokenEvent(**stamp("Ada"), **said, token=token, text=texts[token], label=label)
        for token, label in outcome.labels
    ]
    append("Ada", events)


def test_people_who_label_beside_it_decide_what_the_next_round_is_shown(server: JudgeServer) -> None:
    discover("mine", given_params(count=2, a_round=2))
    one, other = found().fit
    assert one.draft is not None
    assert other.draft is not None
    settings = {"url": server.url, "generator": WRITER, "rounds": 1, "count": 100}
    label_whole(one)
    with pytest.raises(UserError, match=r"labelled 2 whole .* 1 is so far"):
        discover("mine", given_params(warmup=2, **settings))
    assert not server.received
    server.drafts = written
    discover("mine", given_params(warmup=1, **settings))
    label_whole(other)
    discover("mine", given_params(warmup=2, **settings))
    shown = [
        json.loads(body["messages"][-1]["content"].splitlines()[-1])
        for _, _, body in server.received
        if "Cliff-hanger" in body["messages"][-1]["content"]
    ]
    told = [{each["text"] for each in of["worked"]} for of in shown]
    assert told == [{one.draft.prompt}, {one.draft.prompt, other.draft.prompt}]
    assert all(each["evil"] and each["safe"] for of in shown for each in of["worked"])


def test_the_budget_is_kept_and_raised_the_loop_goes_on_where_it_was(server: JudgeServer) -> None:
    server.drafts = written

    def run(calls: int) -> str:
        settings = {"generator": WRITER, "count": 100, "rounds": 6, "max_calls": calls}
        return discover("mine", given_params((WRITER,), url=server.url, **settings)).why

    for most in (1, 2, 6, 9, 10):
        why = run(most)
        assert len(server.received) <= most
        assert "max_calls" in why
    assert set(server.asked().values()) == {1}
    run(1000)
    assert set(server.asked().values()) == {1}
    assert sum(each.calls for each in found().ended.values()) == len(server.received)


def test_money_is_a_budget_too(server: JudgeServer) -> None:
    server.drafts = written
    settings = {"generator": WRITER, "count": 1000}
    discover("mine", given_params((WRITER,), url=server.url, rounds=1, **settings))
    spent = found().ended[1].cost
    # 100 tokens in and 10 out a call, at the service's prices.
    assert spent == pytest.approx(0.0002 * len(server.received))
    before = len(server.received)
    # A call is expected to take more than it does: what is left does not do for one.
    why = discover("mine", given_params((WRITER,), url=server.url, max_cost=spent + 0.0002, **settings)).why
    assert "max_cost" in why
    assert len(server.received) == before
    assert len(lines()) == len(found().fit) > 0


def test_silence_is_waited_for_no_longer_than_the_timeout(server: JudgeServer) -> None:
    server.drafts = written
    server.fault = lambda about, before: "slow" if about == "round 1" else ""
    params = given_params((WRITER,), url=server.url, timeout=1.0, generator=WRITER, rounds=1)
    discover("mine", params)
    assert params.judges[WRITER].timeout < SLOW  # type: ignore[union-attr]
    assert found().ended[1].status == "unreachable"
    assert found().ended[1].calls == 2
