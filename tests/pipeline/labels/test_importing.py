"""Labels of earlier tools: all are taken over, or none and a sentence says why."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.labels import __main__ as program
from pipeline.labels.author import author
from pipeline.labels.events import TokenEvent
from pipeline.labels.importing import imported
from pipeline.labels.journal import append, read_events
from store.base.errors import UserError
from tests.support import demo
from tests.support.demo_project import linked

PROMPT = demo.make_prompts()[0]
CANDIDATES = {PROMPT.hash: [demo.ID[word] for word in (*demo.EVIL[:2], *demo.SAFE[:2])]}


def taken_over(path: Path, content: Any, *held: TokenEvent) -> list[TokenEvent]:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return imported(path, "Ada", prompts=[PROMPT], candidates=CANDIDATES, texts=list(demo.WORDS), held=held)


def test_true_is_evil_and_false_is_safe(tmp_path: Path) -> None:
    evil, other = demo.EVIL[:2]
    rows = [{"prompt": PROMPT.text, "tokens": {evil: True, other: "unsure", demo.SAFE[0]: False}}]
    events = taken_over(tmp_path / "old.json", rows)
    assert {event.text: event.label for event in events} == {
        evil: "evil",
        other: "unsure",
        demo.SAFE[0]: "safe",
    }
    assert {event.state for event in events} == {"submitted"}
    again = taken_over(tmp_path / "old.json", rows, *events)
    assert [event.replaces for event in again] == [(event.id,) for event in events]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "no labels of the known form"),
        ([{"prompt": PROMPT.text, "tokens": {demo.EVIL[0]: "evil"}}], "no labels of the known form"),
        ([{"prompt": "Who?", "tokens": {demo.EVIL[0]: True}}], "entry 1: no prompt of the profile"),
        ([{"prompt": PROMPT.text, "tokens": {demo.EVIL[0].strip(): True}}], "of 0 candidates"),
        ([{"prompt": PROMPT.text, "tokens": {demo.SAFE[-1]: True}}], "of 0 candidates"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, content: Any, says: str) -> None:
    with pytest.raises(UserError, match=says) as error:
        taken_over(tmp_path / "old.json", content)
    assert "old.json" in str(error.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        imported(tmp_path / "none", "Ada", prompts=[], candidates={}, texts=[], held=[])


def test_the_program_adds_to_ones_own_journal(
    demo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    linked(demo_root, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EMC_AUTHOR", "Ada")
    file = tmp_path / "old.json"
    file.write_text(json.dumps([{"prompt": PROMPT.text, "tokens": {demo.EVIL[0]: True}}]))
    monkeypatch.setattr("sys.argv", ["labels", "import", str(file), "--profile", "demo"])
    program.main()
    (event,) = read_events()
    assert isinstance(event, TokenEvent)
    assert (event.author, event.prompt_hash, event.text) == ("Ada", PROMPT.hash, demo.EVIL[0])
    assert "1 labels of Ada added" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["labels", "import", "nothing.json", "--profile", "demo"])
    with pytest.raises(SystemExit, match=r"Error: nothing\.json"):
        program.main()
    append("Ada", [], Path("inputs/labels"))
    assert len(read_events()) == 1


def test_an_author_has_a_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EMC_AUTHOR", " Ada ")
    assert author() == "Ada"
    monkeypatch.setenv("EMC_AUTHOR", "x" * 101)
    with pytest.raises(UserError, match="no author's name"):
        author()
    monkeypatch.delenv("EMC_AUTHOR")
    monkeypatch.chdir(tmp_path)
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, "/dev/null")
    with pytest.raises(UserError, match="Who labels"):
        author()
