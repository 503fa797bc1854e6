"""What is stale, what only DVC's cache lacks, and what each asks for: words, and a real repository."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dashboard.data import dvc_answer
from dashboard.data.dvc_answer import Status

YAML = """
stages:
  one:
    cmd: mkdir -p out && cp in.txt out/a.txt && cp in.txt b.txt
    deps: [in.txt]
    outs: [out, b.txt]
  two:
    cmd: cp b.txt c.txt
    deps: [b.txt]
    outs: [c.txt]
"""


def test_parse_words() -> None:
    output = json.dumps(
        {
            "graphs@organism": [
                {"changed deps": {"pipeline/graphs.py": "modified"}},
                {"changed outs": {"artifacts/organism/graphs": "deleted"}},
                "changed command",
            ],
            "rates": [{"changed deps": {"params.yaml": {"evaluate.samples": "modified"}}}],
        }
    )
    stages, uncached = dvc_answer.parse(output)
    assert stages["graphs@organism"] == [
        "changed deps: modified pipeline/graphs.py",
        "changed outs: deleted artifacts/organism/graphs",
        "changed command",
    ]
    assert stages["rates"] == ["changed deps: params.yaml evaluate.samples modified"]
    assert not uncached


@pytest.mark.parametrize(
    ("code", "output", "errors", "state"),
    [
        (0, "{}", "", "fresh"),
        (0, '{"a": ["changed command"]}', "", "stale"),
        (0, '{"a": [{"changed outs": {"x": "not in cache"}}]}', "", "uncached"),
        (0, "garbage", "", "failed"),
        (255, "", "ERROR: Unable to acquire lock. Most likely another DVC process is running", "busy"),
        (255, "", "ERROR: '/p/artifacts' is busy, it is being blocked by:", "busy"),
        (255, "", "ERROR: you are not inside of a DVC repository", "failed"),
    ],
)
def test_interpret(code: int, output: str, errors: str, state: str) -> None:
    assert dvc_answer.interpret(code, output, errors, 1.0).state == state


def test_remedy() -> None:
    deleted = Status(state="stale", stages={"a": ["changed outs: deleted x"]})
    modified = Status(state="stale", stages={"a": ["changed deps: modified x"]})
    assert dvc_answer.remedy(deleted) == "dvc pull"
    assert dvc_answer.remedy(modified) == "dvc repro"
    assert dvc_answer.remedy(Status(state="fresh")) is None
    assert dvc_answer.caching(modified) is None


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DVC repository of two stages that have run, whose cache is gone: what is handed over as a folder."""
    root = tmp_path_factory.mktemp("computed")
    (root / "dvc.yaml").write_text(YAML)
    (root / "in.txt").write_text("hello")
    dvc(root, "init", "--no-scm", "-q")
    dvc(root, "repro", "-q")
    shutil.rmtree(root / ".dvc" / "cache")
    return root


def dvc(root: Path, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *command], cwd=root, capture_output=True, text=True, check=True
    )
    return done.stdout


def answer(root: Path) -> Status:
    """What the watcher makes of the two commands that it runs."""
    output = dvc(root, "status", "--json")
    assert dvc_answer.is_vague(output)
    return dvc_answer.interpret(0, output, "", 0.0, dvc(root, "data", "status", "--json"))


def _nothing(root: Path) -> None:
    pass


def _changed(root: Path) -> None:
    (root / "c.txt").write_text("another")


def _changed_inside(root: Path) -> None:
    (root / "out" / "a.txt").write_text("another")


def _gone(root: Path) -> None:
    (root / "c.txt").unlink()


def _changed_input(root: Path) -> None:
    (root / "in.txt").write_text("another")


@pytest.mark.parametrize(
    ("change", "stages", "uncached", "remedies"),
    [
        (_nothing, {}, ("one", "two"), (None, "dvc commit")),
        (
            _changed,
            {"two": ["changed outs: modified c.txt"]},
            ("one",),
            ("dvc repro", "dvc commit one"),
        ),
        (
            _changed_inside,
            {"one": ["changed outs: modified out"]},
            ("two",),
            ("dvc repro", "dvc commit two"),
        ),
        (_gone, {"two": ["changed outs: deleted c.txt"]}, ("one",), ("dvc pull", "dvc commit one")),
        (
            _changed_input,
            {"one": ["changed deps: modified in.txt"]},
            ("two",),
            ("dvc repro", "dvc commit two"),
        ),
    ],
)
def test_what_is_changed_is_told_from_what_only_the_cache_lacks(
    computed: Path,
    tmp_path: Path,
    change: Callable[[Path], None],
    stages: dict[str, list[str]],
    uncached: tuple[str, ...],
    remedies: tuple[str | None, str],
) -> None:
    root = tmp_path / "handed-over"
    shutil.copytree(computed, root)
    change(root)
    status = answer(root)
    assert (status.stages, status.uncached) == (stages, uncached)
    assert (dvc_answer.remedy(status), dvc_answer.caching(status)) == remedies


def test_the_command_that_is_named_mends_it_and_computes_nothing(computed: Path, tmp_path: Path) -> None:
    root = tmp_path / "handed-over"
    shutil.copytree(computed, root)
    assert "Running stage 'one'" in dvc(root, "repro", "--dry"), "`dvc repro` would compute all of it again"
    command = str(dvc_answer.caching(answer(root))).split()[1:]
    dvc(root, *command)
    assert json.loads(dvc(root, "status", "--json")) == {}
    assert "Running stage" not in dvc(root, "repro", "--dry")
