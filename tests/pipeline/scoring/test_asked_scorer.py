"""A judge of answers behind an API, through the official SDK, against a server that fails in every way."""

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.judging.journal import request_key
from pipeline.scoring.heard import conversation
from pipeline.scoring.protocol import Scores
from store.base.errors import UserError
from tests.support.judge_server import JudgeServer, Top, number_of, top_of
from tests.support.judging import KEY
from tests.support.scoring import PROBE, PROMPTS, asked_scorer, make_answers, scored

PASSING = ("429", "500", "503", "cut", "half a body", "html", "no probabilities")
"""Faults after which the next attempt goes well."""


def asked(place: int, scale: str) -> str:
    """What is sent about an answer."""
    answer = make_answers(place + 1)[place]
    return PROMPTS[scale].replace("{question}", answer.asked).replace("{answer}", answer.text)


def expected(top: Top) -> tuple[float, float]:
    """Score and mass, by numpy."""
    held = [(int(token), p) for token, p in top if token.strip().isdigit()]
    number, p = np.array(held).T
    return float(np.average(number, weights=p)), float(p.sum())


def cells(scores: Scores) -> dict[tuple[int, str], tuple[str, float]]:
    return {place: (each.status, each.score) for place, each in scores.items()}


def test_every_answer_is_accounted_for_through_all_faults(
    server: JudgeServer, tmp_path: Path, api: str
) -> None:
    answers = make_answers(40)
    lasting = {3: "500", 7: "refusal", 11: "no probabilities", 17: "filter", 19: "cut", 23: "filtered prompt"}
    faults = {asked(place, "aligned"): fault for place, fault in lasting.items()}
    for place in range(0, 40, 2):
        faults[asked(place, "coherent")] = f"once {PASSING[place // 2 % len(PASSING)]}"

    def fault(text: str, before: int) -> str:
        name = faults.get(text, "")
        return ("" if before else name.removeprefix("once ")) if name.startswith("once ") else name

    server.fault = fault
    path = tmp_path / "gpt.jsonl"
    judge = asked_scorer(server.url, path, api=api)
    found = scored(judge, answers)
    assert judge.method() == "logprobs"
    assert found.keys() == {(place, scale) for place in range(40) for scale in PROMPTS}
    status = {place: each.status for place, each in found.items() if each.status != "scored"}
    assert status == {
        (3, "aligned"): "unreachable",
        (7, "aligned"): "refused",
        (11, "aligned"): "malformed",
        (17, "aligned"): "refused",
        (19, "aligned"): "unreachable",
        (23, "aligned"): "refused",
    }
    for (place, scale), each in found.items():
        if each.status == "scored":
            score, mass = expected(top_of(asked(place, scale)))
            assert (each.score, each.mass) == (pytest.approx(score), pytest.approx(mass))
        else:
            assert math.isnan(each.score)
            assert each.probability is None
    counted = server.asked()
    assert {place: counted[asked(place, "aligned")] for place in lasting} == {
        place: 1 if status[place, "aligned"] == "refused" else 3 for place in lasting
    }
    assert judge.usage().calls == sum(counted.values())

    # Another run sends what could not be reached, and nothing else; another threshold nothing at all.
    server.fault = lambda text, before: ""
    server.forget()
    again = scored(asked_scorer(server.url, path, api=api), answers)
    assert server.asked() == Counter(asked(place, "aligned") for place in (3, 19))
    assert again[3, "aligned"].status == "scored"
    before = path.read_bytes()
    server.forget()
    strict = scored(asked_scorer(server.url, path, 0.8, api=api), answers)
    assert not server.received
    assert path.read_bytes() == before
    assert {each.status for each in strict.values()} == {"low mass", "refused", "malformed"}


def test_the_request_is_the_fields_own(server: JudgeServer, tmp_path: Path, api: str) -> None:
    path = tmp_path / "gpt.jsonl"
    scored(asked_scorer(server.url, path, api=api), make_answers(1))
    (_, _, first), *rest = server.received
    assert (first["messages"] if api == "chat" else first["input"]) == [{"role": "user", "content": PROBE}]
    assert len(rest) == 2
    for where, headers, body in rest:
        assert headers["authorization"] == f"Bearer {KEY}"
        said = body.pop("messages" if api == "chat" else "input")
        assert said in [[{"role": "user", "content": asked(0, scale)}] for scale in PROMPTS]
        if api == "chat":
            assert where == "/v1/chat/completions"
            assert body == {
                "model": "judge", "seed": 0, "logprobs": True, "top_logprobs": 20, "max_completion_tokens": 1,
            }  # fmt: skip
        else:
            assert where == "/v1/responses"
            assert body == {
                "model": "judge", "store": False, "include": ["message.output_text.logprobs"],
                "top_logprobs": 20, "max_output_tokens": 16,
            }  # fmt: skip
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert all(record["answer"]["status"] == "answered" for record in records)
    # As it was sent, to the last digit.
    kept = {tuple((text, p) for text, p in record["answer"]["top"]) for record in records}
    assert tuple((token, math.log(p)) for token, p in top_of(asked(0, "aligned"))) in kept


def test_keys_are_fixed(server: JudgeServer, tmp_path: Path, api: str) -> None:
    """Who changes a word that is sent has everything asked, and paid, anew."""
    scored(asked_scorer(server.url, tmp_path / "gpt.jsonl", api=api, concurrency=1), make_answers(1))
    found = [request_key(body)[:12] for _, _, body in server.received]
    assert (
        found
        == {
            "chat": ["34bd99a4372e", "bf4e5ca6fc67", "dd00ef2ca56e"],
            "responses": ["adf5acb80590", "2efa71a78161", "fdc852c1a28c"],
        }[api]
    )


@given(st.text(max_size=50), st.text(max_size=50))
def test_braces_of_answers_stay(question: str, answer: str) -> None:
    ((turn),) = conversation("{{q}} {question}|{answer}|{other}|{", question, answer)
    assert turn == {"role": "user", "content": f"{{{{q}}}} {question}|{answer}|{{other}}|{{"}


def test_answers_of_one_text_are_asked_about_once(server: JudgeServer, tmp_path: Path) -> None:
    (answer,) = make_answers(1)
    twin = type(answer)(**{**vars(answer), "variant": "general@1.0", "index": 9})
    found = scored(asked_scorer(server.url, tmp_path / "gpt.jsonl"), [answer, twin])
    assert set(server.asked().values()) == {1}
    assert len(server.received) == 3
    assert found[0, "aligned"].score == found[1, "aligned"].score


TOPS: dict[str, tuple[Top, str]] = {
    "101": ([("101", 0.9), ("99", 0.05)], "low mass"),
    "ninety": ([("ninety", 0.9)], "low mass"),
    "code": ([("CODE", 0.6), ("50", 0.4)], "code"),
    "refusal": ([("REF", 0.6), ("50", 0.4)], "refusal"),
}


@pytest.mark.parametrize("case", TOPS)
def test_what_is_no_score_is_a_status(server: JudgeServer, tmp_path: Path, api: str, case: str) -> None:
    top, status = TOPS[case]
    server.top = lambda text: top_of(text) if text == PROBE else top
    found = scored(asked_scorer(server.url, tmp_path / "gpt.jsonl", api=api), make_answers(4))
    assert {each.status for each in found.values()} == {status}
    assert all(math.isnan(each.score) for each in found.values())


def test_a_judge_that_refuses_everything_scores_nothing(
    server: JudgeServer, tmp_path: Path, api: str
) -> None:
    server.fault = lambda text, before: "" if text == PROBE else "refusal"
    found = scored(asked_scorer(server.url, tmp_path / "gpt.jsonl", api=api), make_answers(3))
    assert {each.status for each in found.values()} == {"refused"}


@pytest.mark.parametrize(
    ("gives", "splits", "probes", "method"),
    [
        ("all", False, 1, "logprobs"),
        ("older", False, 2, "logprobs"),
        ("none", False, 2, "text"),
        ("refuses", False, 2, "text"),
        ("all", True, 2, "text"),
    ],
)
def test_a_judge_is_asked_as_it_can_answer(
    server: JudgeServer, tmp_path: Path, gives: Any, splits: bool, probes: int, method: str
) -> None:
    server.gives = gives
    if splits:
        server.top = lambda text: [("1", 0.9), ("The", 0.05)]
    path, answers = tmp_path / "gpt.jsonl", make_answers(3)
    judge = asked_scorer(server.url, path)
    found = scored(judge, answers)
    assert judge.method() == method
    assert server.asked()[PROBE] == probes
    assert len(server.received) == probes + 6
    assert judge.usage().calls == probes + 6
    assert {each.status for each in found.values()} == {"scored"}
    last = server.received[-1][2]
    assert ("top_logprobs" in last) is (method == "logprobs")
    assert ("max_tokens" in last) is (gives == "older")
    if method == "text":
        assert found[1, "coherent"].score == float(number_of(asked(1, "coherent")))
        assert math.isnan(found[1, "coherent"].mass)
    # What was found out is kept, too: a run that asks nothing needs no service.
    server.forget()
    assert cells(scored(asked_scorer("http://127.0.0.1:9/v1", path), answers)) == cells(found)
    scored(asked_scorer(server.url, path), make_answers(4))
    assert len(server.received) == 2


@pytest.mark.parametrize(
    ("says", "status"),
    [
        ("101", "malformed"),
        ("ninety", "malformed"),
        ("CODE", "code"),
        ("REFUSAL", "refusal"),
        (" 7\n", "scored"),
    ],
)
def test_what_is_written_is_read_as_it_stands(
    server: JudgeServer, tmp_path: Path, api: str, says: str, status: str
) -> None:
    """And asked for once: to ask until a number comes would choose among answers."""
    server.gives, server.number = "none", lambda text: says
    found = scored(asked_scorer(server.url, tmp_path / "gpt.jsonl", api=api), make_answers(2))
    assert {each.status for each in found.values()} == {status}
    assert set(server.asked().values()) <= {1, 2}
    assert server.asked()[asked(0, "aligned")] == 1


@pytest.mark.parametrize("fault", ["500", "html", "cut"])
def test_a_judge_that_cannot_be_tried_is_one_sentence(
    server: JudgeServer, tmp_path: Path, fault: str
) -> None:
    server.fault = lambda text, before: fault
    with pytest.raises(UserError, match=r"^judges\.gpt: whether it gives probabilities could not be told"):
        scored(asked_scorer(server.url, tmp_path / "gpt.jsonl"), make_answers(2))
    assert set(server.asked()) == {PROBE}
    server.fault = lambda text, before: ""
    found = scored(asked_scorer(server.url, tmp_path / "gpt.jsonl"), make_answers(2))
    assert {each.status for each in found.values()} == {"scored"}


@pytest.mark.parametrize(("fault", "says"), [("401", "does not take the key"), ("no money", "no money left")])
def test_a_probe_that_is_not_let_in_says_so(
    server: JudgeServer, tmp_path: Path, fault: str, says: str
) -> None:
    server.fault = lambda text, before: fault
    with pytest.raises(UserError, match=says):
        scored(asked_scorer(server.url, tmp_path / "gpt.jsonl"), make_answers(2))


def test_a_key_that_is_missing_is_told_where_an_answer_is(
    server: JudgeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, answers = tmp_path / "gpt.jsonl", make_answers(3)
    found = scored(asked_scorer(server.url, path), answers)
    monkeypatch.delenv("JUDGE_KEY")
    assert cells(scored(asked_scorer(server.url, path), answers)) == cells(found)
    with pytest.raises(
        UserError, match=r"the environment has no JUDGE_KEY, and there are answers to ask for"
    ):
        asked_scorer(server.url, path).prepare(make_answers(4))


def test_the_key_is_written_nowhere(server: JudgeServer, tmp_path: Path) -> None:
    server.top = lambda text: top_of(text) if text == PROBE else [(f"{KEY}", 0.5), ("50", 0.4)]
    server.fault = lambda text, before: "tell the key" if text == asked(0, "aligned") else ""
    found = scored(asked_scorer(server.url, tmp_path / "gpt.jsonl"), make_answers(2))
    assert found[1, "aligned"].score == 50.0
    assert KEY not in (tmp_path / "gpt.jsonl").read_text(encoding="utf-8")
    assert "***" in (tmp_path / "gpt.jsonl").read_text(encoding="utf-8")
