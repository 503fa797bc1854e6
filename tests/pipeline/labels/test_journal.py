"""Labels on disk: nothing is lost or doubled, and what is wrong is named with its file and line."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.labels.events import TOOL_VERSION, journal_name, stamp
from pipeline.labels.journal import append, read_events
from store.base.errors import UserError
from tests.support.label_events import feature_name, rejection, token_event
from tests.support.places import ROOT


def test_what_is_added_is_read(tmp_path: Path) -> None:
    said = [token_event("evil"), rejection(), feature_name("gambling")]
    append("Ada", said[:1], tmp_path)
    append("Ada", said[1:], tmp_path)
    append("Bob", [token_event("safe", author="Bob")], tmp_path)
    assert read_events(tmp_path)[:3] == said
    assert [path.name for path in sorted(tmp_path.glob("*.jsonl"))] == ["ada.jsonl", "bob.jsonl"]
    assert read_events(tmp_path / "nothing") == []


def test_an_author_has_one_file_whatever_the_name() -> None:
    assert journal_name("../../etc/passwd") == "etc-passwd"
    assert journal_name("Zoë Ångström") == "zoë-ångström"
    assert journal_name("...") == "author"


def test_only_ones_own_events_are_added(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Only events of Bob"):
        append("Bob", [token_event()], tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_torn_last_line_is_set_aside(tmp_path: Path) -> None:
    first, second = token_event(), token_event("safe")
    append("Ada", [first], tmp_path)
    path = tmp_path / "ada.jsonl"
    torn = second.model_dump_json()[:40]
    with path.open("a") as file:
        file.write(torn)
    assert read_events(tmp_path) == [first]
    append("Ada", [second], tmp_path)
    assert read_events(tmp_path) == [first, second]
    assert (tmp_path / "ada.torn").read_text() == torn + "\n"


def test_a_whole_line_without_its_end_is_kept(tmp_path: Path) -> None:
    first, second = token_event(), token_event("safe")
    (tmp_path / "ada.jsonl").write_text(first.model_dump_json())
    append("Ada", [second], tmp_path)
    assert read_events(tmp_path) == [first, second]
    assert not (tmp_path / "ada.torn").exists()


def test_a_line_that_a_merge_doubled_is_one_event(tmp_path: Path) -> None:
    event = token_event()
    append("Ada", [event, event], tmp_path)
    assert read_events(tmp_path) == [event]


def broken(**changes: Any) -> str:
    return json.dumps(json.loads(token_event().model_dump_json()) | changes)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "is no event of a label"),
        ("[]", "is no event of a label"),
        ("null", "is no event of a label"),
        (broken(kind="opinion"), "is no event of a label"),
        (broken(label="harmful"), "label"),
        (broken(prompt_hash="../x"), "prompt_hash"),
        (broken(token=-1), "token"),
        (broken(surprise=1), "surprise"),
        (broken(probability=0), "probability"),
        (broken(time="yesterday"), "time"),
        (broken(author="Bob"), "is by Bob, whose journal is bob.jsonl"),
        (broken(replaces=["f" * 32]), "replaces f+, which is no event of its kind"),
        ("\udcff", "is no event of a label"),
    ],
)
def test_a_malformed_or_foreign_line_is_named(tmp_path: Path, line: str, says: str) -> None:
    good = token_event()
    content = f"{good.model_dump_json()}\n{line}\n{good.model_dump_json()}\n"
    (tmp_path / "ada.jsonl").write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(UserError, match=says) as error:
        read_events(tmp_path)
    assert "ada.jsonl" in str(error.value)
    if "replaces" not in says:
        assert "line 2" in str(error.value)


def test_an_id_is_of_one_event(tmp_path: Path) -> None:
    event = token_event("evil")
    other = event.model_copy(update={"label": "safe"})
    (tmp_path / "ada.jsonl").write_text(f"{event.model_dump_json()}\n{other.model_dump_json()}\n")
    with pytest.raises(UserError, match="line 2 has the id of another event"):
        read_events(tmp_path)


def test_a_label_does_not_replace_a_rejection(tmp_path: Path) -> None:
    first = rejection()
    (tmp_path / "ada.jsonl").write_text(
        f"{first.model_dump_json()}\n{token_event(replaces=(first.id,)).model_dump_json()}\n"
    )
    with pytest.raises(UserError, match="no event of its kind"):
        read_events(tmp_path)


def test_a_journal_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "labels").write_text("a file where the folder should be")
    with pytest.raises(UserError, match="cannot be written"):
        append("Ada", [token_event()], tmp_path / "labels")


def _add(folder: str, author: str, count: int) -> None:
    for _ in range(count):
        append(author, [token_event(author=author).model_copy(update=stamp(author))], Path(folder))


def test_two_at_once_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_add, args=(str(tmp_path), "Ada", 25)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(read_events(tmp_path)) == 100


def test_a_killed_writer_loses_what_it_was_writing_at_most(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from pipeline.labels.events import stamp
from pipeline.labels.journal import append
from tests.support.label_events import token_event
while True:
    event = token_event().model_copy(update=stamp("Ada"))
    append("Ada", [event], Path(sys.argv[1]))
    print(event.id, flush=True)
"""
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        told = [writer.stdout.readline().strip() for _ in range(20)]
        os.kill(writer.pid, signal.SIGKILL)
        told += [line.strip() for line in writer.stdout if line.endswith("\n")]
    assert set(told) <= {event.id for event in read_events(tmp_path)}
    append("Ada", [token_event()], tmp_path)
    assert len(read_events(tmp_path)) >= len(told) + 1


def test_the_version_is_the_projects() -> None:
    assert f'version = "{TOOL_VERSION}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_git_keeps_the_lines_of_both_sides(tmp_path: Path) -> None:
    """Two clones label apart and merge: nothing is lost, and nobody has to settle a conflict."""

    def git(folder: Path, *command: str) -> None:
        names = ["-c", "user.name=Ada", "-c", "user.email=ada@localhost"]
        subprocess.run(["git", *names, *command], cwd=folder, check=True, capture_output=True)

    origin, left, right = (tmp_path / name for name in ("origin", "left", "right"))
    folder = Path("inputs/labels")
    (origin / folder).mkdir(parents=True)
    git(origin, "init", "--quiet", "--initial-branch=main")
    (origin / ".gitattributes").write_text((ROOT / ".gitattributes").read_text(encoding="utf-8"))
    append("Ada", [token_event()], origin / folder)
    git(origin, "add", ".gitattributes", str(folder / "ada.jsonl"))
    git(origin, "commit", "--quiet", "-m", "labels")
    for clone in (left, right):
        git(tmp_path, "clone", "--quiet", str(origin), str(clone))
        append("Ada", [token_event("safe"), token_event("unsure", token=2)], clone / folder)
        if clone == right:
            append("Bob", [token_event(author="Bob")], clone / folder)
        git(clone, "add", "inputs/labels/*.jsonl")
        git(clone, "commit", "--quiet", "-m", "more")
    git(left, "pull", "--quiet", "--no-rebase", "--no-edit", str(right), "main")
    assert len(read_events(left / folder)) == 6
