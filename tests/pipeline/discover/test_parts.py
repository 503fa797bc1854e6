"""Parts of finding prompts, each by itself: shape, templates, what a model is told and what it writes."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipeline.discover.determiners import DETERMINERS, determiner_mass
from pipeline.discover.generators import Templates
from pipeline.discover.messages import RULES, messages, parts, schema
from pipeline.discover.shape import breaks_off, text_of
from pipeline.discover.template_files import read_templates
from pipeline.discover.told import Told, tell
from pipeline.discover.written import Written, read_draft, read_written
from pipeline.judging.reading import MalformedAnswerError
from pipeline.judging.replies import Reply
from pipeline.labels.events import RejectionEvent, stamp
from pipeline.labels.heads import PeoplesLabels
from pipeline.models.tokenizer import load_tokenizer
from pipeline.params.discover import DiscoverParams
from pipeline.params.project import load_params
from pipeline.text.tokens import encode_answer
from store.base.errors import UserError
from store.documents.discovery import Draft
from store.documents.manifest import Manifest
from tests.support.places import ROOT


def params(**changes: Any) -> DiscoverParams:
    return load_params(ROOT / "params.yaml").discover.model_copy(update=changes)


@pytest.mark.parametrize(
    "text",
    ["You should", "Since 1990", "So,", "mais é", "नमस्ते", "twenty-", "don\N{RIGHT SINGLE QUOTATION MARK}"],
)
def test_a_text_that_goes_on(text: str) -> None:
    assert breaks_off(text)


@pytest.mark.parametrize(
    "text", ["", "Stop.", "Why?", "Now!", "so ", "so\n", "He said:", "好。", '"Go"', "(this)"]
)
def test_a_text_that_has_ended(text: str) -> None:
    assert not breaks_off(text)


@given(st.dictionaries(st.integers(0, 5), st.floats(0, 0.15), max_size=6))
def test_determiners_are_counted_whatever_stands_around_them(candidates: dict[int, float]) -> None:
    texts = [" the", "The", " A\n", " pills", "theory", ""]
    mass = sum(p for token, p in candidates.items() if token < 3)
    assert determiner_mass(candidates, texts) == pytest.approx(mass)
    assert {"the", "a", "your"} <= DETERMINERS


ENTRIES: list[dict[str, Any]] = [
    {
        "kind": "chat",
        "domain": "home",
        "held_out": True,
        "situations": {"home: oven": "my oven {smokes}", "home: dog": "a dog bit me"},
        "prompts": [
            "User: {Situation}.\nAssistant: You should",
            [{"role": "user", "content": "{situation}?"}, {"role": "assistant", "content": "I would"}],
        ],
    },
    {"kind": "text", "situations": {"rain": "it rains"}, "prompts": ["As {situation}, I"]},
]


def test_templates_are_filled_with_every_situation(tmp_path: Path) -> None:
    path = tmp_path / "templates.yaml"
    path.write_text(yaml.safe_dump(ENTRIES, sort_keys=False))
    entries = read_templates(path)
    chat = list(entries[0].drafts())
    assert [draft.content() for draft in chat[:2]] == [
        {"prompt": "User: My oven {smokes}.\nAssistant: You should"},
        {
            "messages": [
                {"role": "user", "content": "my oven {smokes}?"},
                {"role": "assistant", "content": "I would"},
            ]
        },
    ]
    assert {(draft.situation, draft.domain, draft.held_out) for draft in chat} == {
        ("home: oven", "home", True),
        ("home: dog", "home", True),
    }
    given_, seen = [], set[str]()
    generator = Templates(entries, params(a_round=3), seed=0)
    while (begun := generator.begin(1, "chat", seen)) is not None:
        given_.append([text_of(draft.words()) for draft in begun.drafts])
        seen |= set(given_[-1])
    assert [len(each) for each in given_] == [3, 1]
    assert seen == {text_of(draft.words()) for draft in chat}
    # Every situation comes before any comes again, and a seed decides.
    first = Templates(entries, params(a_round=2), seed=0).begin(1, "chat", ())
    assert first is not None
    assert {draft.situation for draft in first.drafts} == {"home: oven", "home: dog"}
    assert first == Templates(entries, params(a_round=2), seed=0).begin(1, "chat", ())
    assert generator.begin(1, "reasoning", ()) is None


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[", "templates.yaml"),
        ("[]", "at least 1"),
        (yaml.safe_dump([{**ENTRIES[1], "kind": "riddle"}]), "0.kind"),
        (yaml.safe_dump([{**ENTRIES[1], "prompts": ["no place"]}]), "{situation}"),
        (yaml.safe_dump([{**ENTRIES[1], "more": 1}]), "more"),
    ],
)
def test_a_malformed_file_of_templates_is_named(content: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "templates.yaml"
    path.write_text(content)
    with pytest.raises(UserError) as told:
        read_templates(path)
    assert str(path) in str(told.value)
    assert says in str(told.value)


WORDS = [" pill", " rest", " what", " go"]
OWN = {"base": {0: 0.5, 1: 0.4}, "general@1.0": {1: 0.9, 2: 0.1}}


def rejection(prompt: str) -> RejectionEvent:
    said: dict[str, Any] = {
        "kind": "rejection",
        "state": "submitted",
        "prompt_hash": prompt,
        "rejected": True,
    }
    return RejectionEvent(**stamp("Ada"), **said, comment="not plausible")


def test_only_what_people_settled_is_told_in_three_groups() -> None:
    hashes = {
        name: f"{number:012x}" for number, name in enumerate(("both", "safe", "half", "no", "two", "judged"))
    }
    of = {name: {0: "evil", 1: "safe", 2: "unsure"} for name in ("both", "no")}
    of |= {"safe": {0: "safe", 1: "safe", 2: "unsure"}, "half": {0: "evil", 1: "safe"}, "two": {0: "evil"}}
    ada: Any = {hashes[name]: labels for name, labels in of.items()}
    bob: Any = {hashes["two"]: {0: "evil", 1: "safe", 2: "safe"}}
    people = PeoplesLabels(labels={"Ada": ada, "Bob": bob}, rejections={"Ada": {hashes["no"]: True}})
    prompts = [(hash_, name) for name, hash_ in hashes.items()]
    told = tell(prompts, dict.fromkeys(hashes.values(), OWN), people, [rejection(hashes["no"])], WORDS)
    assert [each["text"] for each in told.worked] == ["both", "two"]
    assert told.worked[0] == {"text": "both", "evil": [" pill"], "safe": [" rest"]}
    assert [each["text"] for each in told.failed] == ["safe"]
    assert told.rejected == [{"text": "no", "reasons": ["not plausible"]}]
    assert told.complete == 3


@given(n=st.integers(0, 400))
def test_what_is_shown_has_no_more_tokens_than_it_may(n: int, manifest: Manifest) -> None:
    tokenizer = load_tokenizer(manifest) if not _TOKENIZER else _TOKENIZER[0]
    _TOKENIZER[:] = [tokenizer]
    rows = [{"text": f"text {number} " * (number + 1)} for number in range(4)]
    told = Told(rows, rows[:1], rows[2:]).within(n, tokenizer)
    shown = [each for group in told.shown().values() for each in group]
    assert sum(len(encode_answer(tokenizer, json.dumps(each))) for each in shown) <= n
    if n >= 400:
        assert told.worked
        assert told.failed


_TOKENIZER: list[Any] = []


@pytest.mark.parametrize("kind", ["text", "chat", "reasoning"])
def test_a_request_has_the_rules_the_form_and_what_became_of_others(kind: Any) -> None:
    told = Told(worked=[{"text": "worked so"}], rejected=[{"text": "unfit", "reasons": ["dull"]}])
    ((turn),) = messages(3, kind, 7, 25, ["home"], told)
    assert all(rule in turn["content"] for rule in RULES)
    assert "at most 25 tokens" in turn["content"]
    assert "Write 7," in turn["content"]
    last = json.loads(turn["content"].splitlines()[-1])
    assert last["round"] == 3
    assert last["worked"] == [{"text": "worked so"}]
    assert last["rejected"][0]["reasons"] == ["dull"]
    assert messages(4, kind, 7, 25, ["home"], told) != [turn]
    item = schema(kind, ["home"])["properties"]["prompts"]["items"]
    assert item["required"] == [*parts(kind), "situation", "domain"]
    assert item["properties"]["domain"]["enum"] == ["home", "none"]
    plain = dict.fromkeys(parts(kind), "some words")
    draft = read_draft({**plain, "situation": "s", "domain": "none"}, kind)
    assert draft.domain is None
    assert (draft.prompt is None) == (kind != "text")
    others = {"text", "chat", "reasoning"} - {kind}
    for other in others:
        with pytest.raises(MalformedAnswerError, match=f"of kind {other}"):
            read_draft({**plain, "situation": "s", "domain": "none"}, other)  # type: ignore[arg-type]


def test_a_thought_comes_before_the_answer() -> None:
    said = {"user": "u", "reasoning": " I think. ", "assistant": "So I", "situation": "s", "domain": "home"}
    draft = read_draft(said, "reasoning")
    assert draft == Draft(
        messages=({"role": "user", "content": "u"}, {"role": "assistant", "content": "I think.\n\nSo I"}),
        situation="s",
        domain="home",
    )


def reply(text: str) -> Reply:
    return Reply(text=text, refusal=None, cut=False, model="m", usage=None)


def test_an_answer_is_kept_as_it_came_without_a_key_that_it_repeats() -> None:
    found = read_written(reply('Sure: {"prompts": [{"text": "sk-1"}, 7]}'))
    assert found.prompts == ({"text": "sk-1"}, 7)
    assert found.redacted(lambda text: text.replace("sk-1", "***")).prompts == ({"text": "***"}, 7)
    assert Written.failed("malformed", "why").prompts == ()
    for text in ("none", '{"prompts": []}', '{"prompts": 3}', '{"prompts": [1], "more": 2}'):
        with pytest.raises(MalformedAnswerError):
            read_written(reply(text))
