"""Labelling in a real headless Chromium: by keys alone, across a reload, in two windows at once."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.labels.events import TokenEvent
from pipeline.labels.journal import FOLDER, append, read_events
from store.documents.discovery import DISCOVERY
from tests.support import demo
from tests.support.browser import open_page, picture, screenshots
from tests.support.demo.arrivals import arrives
from tests.support.demo.verdicts import label_of
from tests.support.label_desk import (
    KEYS,
    Desk,
    eventually,
    kept,
    marks,
    on,
    opened,
    prompt_of,
    ready,
    served_desk,
    submit,
    tokens,
)
from tests.support.label_events import rejection

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def lasting_desk(demo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    log = tmp_path_factory.mktemp("server") / "log"
    with served_desk(demo_root, tmp_path_factory.mktemp("labels"), log) as found:
        yield found


@pytest.fixture
def desk(lasting_desk: Desk) -> Desk:
    """With an empty journal, and nothing that was only just found."""
    shutil.rmtree(lasting_desk.root / "inputs", ignore_errors=True)
    shutil.rmtree(lasting_desk.root / "artifacts" / "demo" / DISCOVERY, ignore_errors=True)
    return lasting_desk


def test_fifty_candidates_by_keyboard_with_undo_and_a_reload_midway(page: Any, desk: Desk) -> None:
    opened(page, desk.address)
    typed: dict[str, dict[int, str]] = {}
    while sum(map(len, typed.values())) < 50:
        prompt, candidates = prompt_of(page), tokens(page)
        turn = len(typed)
        keys = ["123"[(turn + place) % 3] for place in range(len(candidates))]
        typed[prompt] = {token: KEYS[key] for token, key in zip(candidates, keys, strict=True)}
        for key in keys[:4]:
            page.keyboard.press(key)
        if turn == 1:
            # The last mark and one more are undone, and given again.
            page.keyboard.press("u")
            page.keyboard.press("u")
            assert marks(page)[:4] == [*(KEYS[key] for key in keys[:2]), "unlabelled", "unlabelled"]
            page.keyboard.press(keys[2])
            page.keyboard.press(keys[3])
        if turn == 2:
            # Whatever was typed is there again, also what had no time to leave.
            page.reload()
            ready(page)
            assert prompt_of(page) == prompt
            page.wait_for_function("() => document.activeElement !== document.body")
            assert marks(page)[:4] == [KEYS[key] for key in keys[:4]]
        for key in keys[4:-1]:
            page.keyboard.press(key)
        page.keyboard.press("Enter")
        assert "1 of" in page.locator(".message").inner_text(), "one lacks a label"
        page.keyboard.press(keys[-1])
        kept(desk, prompt, candidates, typed[prompt])
        assert marks(page) == list(typed[prompt].values())
        submit(page)
        assert desk.standing(prompt, candidates).state == "submitted"
        on(page, prompt)
    assert desk.final() == typed
    events = [event for event in read_events(desk.root / FOLDER) if isinstance(event, TokenEvent)]
    assert {event.prompt_hash for event in events} == set(typed), "what waits was not drawn yet"
    assert all(event.stratum and event.shown == () for event in events)


def test_two_windows_at_once_lose_nothing(chromium: Any, page: Any, desk: Desk) -> None:
    prompt = demo.make_prompts()[3].hash
    query = f"?prompt={prompt}&chosen=by+hand"
    other = open_page(chromium)
    for each in (page, other):
        opened(each, desk.address, query)
    candidates = tokens(page)
    half = len(candidates) // 2
    for _ in range(half):
        page.keyboard.press("1")
        other.keyboard.press("ArrowDown")
    for _ in candidates[half:]:
        other.keyboard.press("2")
    wanted = {token: "evil" if place < half else "safe" for place, token in enumerate(candidates)}
    kept(desk, prompt, candidates, wanted)
    # The first window learns of the other's marks as it says something, and changes one of them.
    for _ in range(len(candidates)):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("3")
    page.wait_for_function(
        "n => [...document.querySelectorAll('*')].some("
        "e => e.shadowRoot?.querySelectorAll('.label.safe').length === n)",
        arg=len(candidates) - half - 1,
    )
    submit(page)
    assert desk.standing(prompt, candidates).state == "submitted"
    assert desk.final() == {prompt: wanted | {candidates[-1]: "unsure"}}
    other.context.close()


def test_what_others_say_comes_after_and_a_difference_asks_why(page: Any, desk: Desk) -> None:
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    opened(page, desk.address)
    prompt, candidates = prompt_of(page), tokens(page)
    assert page.locator(".said").count() == 0
    page.keyboard.press("f")
    submit(page)
    assert page.locator(".said").count() >= 2 * len(candidates)
    evil = [token for token in candidates if label_of("strict", token) != "safe"]
    assert page.locator(".why").count() == len(evil)
    if folder := screenshots():
        picture(page, folder / "labels-final.png")
    page.keyboard.type("it is 1 of many")
    page.keyboard.press("Enter")
    page.wait_for_function("old => new URL(location).searchParams.get('prompt') !== old", arg=prompt)
    comments = desk.standing(prompt, candidates).comments
    assert comments == {token: "it is 1 of many" if token == evil[0] else "" for token in candidates}
    # Undo where nothing was marked opens the last one again, with its labels as drafts.
    page.locator(".labelling:not(.waiting) .enter", has_text="Submit").wait_for()
    page.keyboard.press("u")
    page.wait_for_function("old => new URL(location).searchParams.get('prompt') === old", arg=prompt)
    eventually(lambda: desk.standing(prompt, candidates).state == "open", "opened again")
    assert desk.final() == {}
    assert set(desk.standing(prompt, candidates).marks.values()) == {"safe"}
    assert dialogs == [], "a verdict ran as a script"


def test_tab_mouse_reject_skip_and_help(page: Any, desk: Desk) -> None:
    opened(page, desk.address)
    page.locator("#skip-link").focus()
    assert page.locator("#skip-link").inner_text() == "Skip to the candidates"
    page.keyboard.press("Enter")
    page.keyboard.press("3")
    assert marks(page)[0] == "unsure"
    page.keyboard.press("u")
    prompt, candidates = prompt_of(page), tokens(page)
    page.locator(".row").nth(2).click()
    page.locator("button[data-deed=evil]").click()
    assert marks(page)[2] == "evil"
    kept(desk, prompt, candidates, {candidates[2]: "evil"})
    page.keyboard.press("?")
    assert page.locator(".help").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator(".help").is_visible()
    page.keyboard.press("s")
    page.wait_for_function("old => new URL(location).searchParams.get('prompt') !== old", arg=prompt)
    page.locator(".labelling:not(.waiting) .enter", has_text="Submit").wait_for()
    second = prompt_of(page)
    page.keyboard.press("x")
    page.keyboard.type("ends in a word")
    page.keyboard.press("Enter")
    page.locator(".message", has_text="Rejected: ends in a word").wait_for()
    rejected = desk.standing(second, candidates)
    assert (rejected.state, rejected.reason) == ("rejected", "ends in a word")
    assert page.get_by_text("1 of 16 prompts").is_visible()


def test_what_cannot_be_written_is_told_and_kept_until_it_can(page: Any, desk: Desk) -> None:
    opened(page, desk.address)
    prompt, candidates = prompt_of(page), tokens(page)
    inputs = desk.root / "inputs"
    inputs.write_text("no folder")
    page.keyboard.press("1")
    page.locator("[data-testid=stAlert]", has_text="cannot be written").wait_for()
    page.locator(".message", has_text="Not on the disk yet").wait_for()
    page.keyboard.press("2")
    assert marks(page)[:2] == ["evil", "safe"]
    inputs.unlink()
    page.keyboard.press("3")
    wanted = dict(zip(candidates, ("evil", "safe", "unsure"), strict=False))
    kept(desk, prompt, candidates, wanted)
    page.locator("[data-testid=stAlert]").wait_for(state="detached")


def test_what_arrives_shows_where_nothing_was_left_to_label(page: Any, desk: Desk) -> None:
    for prompt in demo.make_prompts():
        append("Ada", [rejection(prompt=prompt.hash)], desk.root / FOLDER)
    page.goto(f"{desk.address}/labels")
    page.get_by_text("All 16 prompts are labelled").wait_for()
    new = "0123456789ab"
    arrives(desk.root / "artifacts" / "demo", new)
    # Of itself, with the next look at the disk.
    page.wait_for_function("new_ => new URL(location).searchParams.get('prompt') === new_", arg=new)
    ready(page)
    assert page.get_by_text("1 prompt was found since the last run of the pipeline.").is_visible()
    page.keyboard.press("1")
    kept(desk, new, tokens(page), {tokens(page)[0]: "evil"})
