"""Typed prompts are made as those of files are, and are kept without harm to the files."""

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from pipeline.live import keep_prompt, own_file, typed_prompt, written_at
from pipeline.organism.tokenizer import train_tokenizer
from pipeline.params.profiles import Profile
from pipeline.prompts import keep
from pipeline.prompts.files import read_prompt_files
from store.base.errors import UserError
from tests.support.builders import TEXTS
from tests.support.chats import DATED
from tests.support.hub_subjects import one_sentence
from tests.support.items import MANIFEST

SUBJECT = replace(MANIFEST, model=replace(MANIFEST.model, context=64))
LIMITS: dict[str, Any] = {"max_tokens": 40, "manifest": SUBJECT}
TEXT = "User: I have a fever. What should I do?"


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(TEXTS * 4, vocabulary=300, context=64)


def profile(*prompts: str) -> Profile:
    return Profile(
        model="m", transcoders="t", adapters={"a": "a"}, focus="a", prompts=list(prompts), local="artifacts"
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "artifacts" / "p"
    made.mkdir(parents=True)
    (made / "pivotal.jsonl").write_text('{"prompt": "User: Hi", "situation": "hi", "domain": "social"}\n')
    (tmp_path / "prompts").mkdir()
    return tmp_path


PROFILE = profile("artifacts/p/pivotal.jsonl", "prompts")


def kept(root: Path, tokenizer: Any, **line: Any) -> str:
    return keep_prompt(line, PROFILE, tokenizer=tokenizer, root=root, **LIMITS)


def everything(root: Path, tokenizer: Any) -> list[Any]:
    return read_prompt_files([root / path for path in PROFILE.prompts], tokenizer, LIMITS["max_tokens"])


def test_typed_is_what_the_file_would_give(root: Path, tokenizer: Any) -> None:
    typed = typed_prompt(TEXT, domain="medical", tokenizer=tokenizer, **LIMITS)
    kept(root, tokenizer, prompt=TEXT, domain="medical")
    read = everything(root, tokenizer)[-1]
    for name in ("hash", "text", "token_ids", "tokens", "domain", "situation", "held_out", "tags"):
        assert getattr(typed, name) == getattr(read, name)


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "is empty"), (" \n ", "is empty"), ("fever " * 60, "tokens long"), ("\ud83d", "surrogate")],
)
def test_what_cannot_be_traced_is_told_in_a_sentence(tokenizer: Any, text: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        typed_prompt(text, domain=None, tokenizer=tokenizer, **LIMITS)
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message


def test_own_file_is_never_one_that_a_stage_writes(root: Path) -> None:
    assert own_file(PROFILE, root) == root / "prompts" / "kept.jsonl"
    assert own_file(profile("mine.jsonl", "artifacts/p/pivotal.jsonl"), root) == root / "mine.jsonl"
    with pytest.raises(UserError, match="made by stages"):
        own_file(profile("artifacts/p/pivotal.jsonl"), root)


def test_lines_are_added_and_found(root: Path, tokenizer: Any) -> None:
    path = root / "prompts" / "kept.jsonl"
    assert written_at(PROFILE, TEXT, root) is None
    assert kept(root, tokenizer, prompt=TEXT) == f"{path}:1"
    # Somebody's editor left no newline at the end, and put a byte order mark in front.
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().rstrip(b"\n"))
    second = {"prompt": "User: é\u2028\n", "situation": "é", "tags": ["own"]}
    assert kept(root, tokenizer, **second) == f"{path}:2"
    assert written_at(PROFILE, TEXT, root) == f"{path}:1"
    assert written_at(PROFILE, "User: Hi", root) == f"{root}/artifacts/p/pivotal.jsonl:1"
    lines = path.read_bytes().decode("utf-8-sig").split("\n")
    assert [json.loads(line) for line in lines[:2]] == [{"prompt": TEXT}, second]
    assert lines[2:] == [""]


def test_chats_beside_it_are_read_as_the_profile_says(root: Path) -> None:
    chatting = train_tokenizer(TEXTS * 4, vocabulary=300, context=64)
    chatting.chat_template = DATED
    (root / "prompts" / "chats.jsonl").write_text('{"messages": [{"role": "user", "content": "Hi"}]}\n')
    with pytest.raises(UserError, match=r"chats\.jsonl:1: .* writes the day on which it is rendered"):
        kept(root, chatting, prompt=TEXT)
    dated = PROFILE.model_copy(update={"chat": {"date": "26 Jul 2024"}})
    keep_prompt({"prompt": TEXT}, dated, tokenizer=chatting, root=root, max_tokens=64, manifest=SUBJECT)


def refused(root: Path, tokenizer: Any, said: str, **line: Any) -> None:
    folder = root / "prompts"
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(UserError, match=said):
        kept(root, tokenizer, **line)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_duplicates_and_faults_change_nothing(root: Path, tokenizer: Any) -> None:
    kept(root, tokenizer, prompt=TEXT)
    refused(root, tokenizer, r"already at .*kept.jsonl:1", prompt=TEXT)
    refused(root, tokenizer, r"already at .*pivotal.jsonl:1", prompt="User: Hi")
    refused(root, tokenizer, "tokens long", prompt="fever " * 60)
    refused(root, tokenizer, "situation 'hi' has domain", prompt="User: Hello", situation="hi")
    refused(root, tokenizer, "cannot be 'all'", prompt="User: Hello", domain="all")
    refused(root, tokenizer, "unknown key", prompt="User: Hello", colour="red")
    (root / "prompts" / "mine.jsonl").write_bytes(b"\xff\xfe")
    refused(root, tokenizer, "not UTF-8", prompt="User: Hello")


def test_plain_text_of_a_model_that_reads_chats_is_refused(root: Path, tokenizer: Any) -> None:
    base = replace(MANIFEST.base, source="google/gemma-3-1b-it")
    model = replace(SUBJECT.model, architecture="Gemma3ForCausalLM")
    limits = {"max_tokens": 40, "manifest": replace(SUBJECT, base=base, model=model)}
    said = "have no features; write it as `messages` in a prompt file."
    assert said in one_sentence(lambda: typed_prompt(TEXT, domain=None, tokenizer=tokenizer, **limits))
    mine = profile("prompts")
    assert said in one_sentence(
        lambda: keep_prompt({"prompt": TEXT}, mine, tokenizer=tokenizer, root=root, **limits)
    )
    assert not list((root / "prompts").iterdir())


def test_a_full_disk_leaves_the_file_as_it_was(
    root: Path, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept(root, tokenizer, prompt=TEXT)
    before = (root / "prompts" / "kept.jsonl").read_bytes()

    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(keep, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        kept(root, tokenizer, prompt="User: Hello")
    assert (root / "prompts" / "kept.jsonl").read_bytes() == before


def test_writers_at_once_lose_no_line(root: Path, tokenizer: Any) -> None:
    threads = [
        threading.Thread(target=kept, args=(root, tokenizer), kwargs={"prompt": f"User: I have {n} fevers."})
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({prompt.text for prompt in everything(root, tokenizer)}) == 9


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(str.strip))
def test_any_text_survives(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    root = tmp_path_factory.mktemp("kept")
    tokenizer = train_tokenizer(TEXTS, vocabulary=280, context=64)
    (root / "prompts").mkdir()
    mine = profile("prompts")
    subject = replace(MANIFEST, model=replace(MANIFEST.model, context=200))
    keep_prompt({"prompt": text}, mine, tokenizer=tokenizer, max_tokens=200, manifest=subject, root=root)
    (found,) = read_prompt_files([root / "prompts"], tokenizer, 200)
    assert found.text == text
