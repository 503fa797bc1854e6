"""``dvc repro`` on a small profile in a clean clone, and what DVC users expect of it."""

import json
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.project import Project, computed, environment, tiny_project

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

PROMPT = {
    "prompt": "User: I have a quiet evening. What should I do?\nAssistant: You should",
    "name": "mine",
}


def _clone_with_caches(finished: Project, folder: Path) -> Project:
    """The finished project with its artifacts and item cache, free to change."""
    shutil.copytree(finished.folder, folder, symlinks=True)
    return Project(folder)


def _add_prompt(project: Project) -> None:
    path = project.folder / "inputs" / "prompts" / "mine.jsonl"
    path.write_text(json.dumps(PROMPT) + "\n", encoding="utf-8")


def test_a_second_run_has_nothing_to_redo(finished: Project) -> None:
    assert "Data and pipelines are up to date" in finished.repro()
    assert "up to date" in finished.run("dvc", "status").stdout


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("dvc dag", "features@organism"),
        ("dvc metrics show", "capitals"),
        ("dvc params diff HEAD~1 --all", "Path"),
        ("dvc plots show", "file://"),
        ("python -m store verify artifacts", "graphs: ok"),
    ],
)
def test_commands_answer(finished: Project, command: str, expected: str) -> None:
    assert expected in finished.run(*command.split()).stdout


def test_an_experiment_changes_what_it_names(finished: Project, tmp_path: Path) -> None:
    project = _clone_with_caches(finished, tmp_path / "experiment")
    done = project.run("dvc", "exp", "run", "--set-param", "features.fdr=0.2")
    assert "Running stage 'features@organism'" in done.stdout
    assert "Running stage 'graphs@organism'" not in done.stdout
    difference = project.run("dvc", "params", "diff", "--json").stdout
    assert json.loads(difference)["params.yaml"]["features.fdr"]["new"] == 0.2


def test_the_same_params_give_the_same_bytes(finished: Project, tmp_path: Path) -> None:
    again = tiny_project(tmp_path / "again")
    again.repro()
    assert again.locked() == finished.locked()


def test_one_more_prompt_is_one_more_item_and_removing_it_leaves_nothing(
    finished: Project, tmp_path: Path
) -> None:
    project = _clone_with_caches(finished, tmp_path / "more")
    _add_prompt(project)
    output = project.repro()
    new = computed(output)
    assert "held-out text" not in output, "contexts do not depend on the prompts"
    variants = len(project.params()["profiles"]["organism"]["adapters"]) + 1
    assert new["activations"][0] == variants
    assert new["samples"][0] == 0, "a prompt without a domain has no outcome to sample"
    assert new["graphs"][0] == 2, "base and focus; the prompt is not tagged for every variant"
    assert new["graphs"][1] > 0
    (project.folder / "inputs" / "prompts" / "mine.jsonl").unlink()
    old = computed(project.repro())
    assert all(count == 0 for count, _ in old.values())
    assert project.locked() == finished.locked()


def test_a_killed_run_goes_on_to_the_same_result(finished: Project, tmp_path: Path) -> None:
    project = _clone_with_caches(finished, tmp_path / "killed")
    for folder in (".cache", "artifacts/organism/graphs", "artifacts/organism/full_graphs"):
        shutil.rmtree(project.folder / folder)
    items = project.folder / ".cache" / "items"
    # The DVC cache would refill the item cache and leave nothing to interrupt.
    shutil.rmtree(project.folder / ".dvc" / "cache")
    stage = subprocess.Popen(
        ["python", "-m", "pipeline.stages.graphs", "organism"],
        cwd=project.folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 300
    while len(list(items.rglob("*.safetensors"))) < 5 and time.monotonic() < deadline:
        assert stage.poll() is None, "the stage ended before it could be killed"
        time.sleep(0.05)
    stage.send_signal(signal.SIGKILL)
    stage.wait()
    before = len(list(items.rglob("*.safetensors")))
    done = project.run("python", "-m", "pipeline.stages.graphs", "organism")
    assert sum(new for new, _ in computed(done.stdout).values()) > 0
    assert len(list(items.rglob("*.safetensors"))) > before
    for out in ("graphs", "full_graphs", "candidates"):
        _same_files(
            project.folder / "artifacts/organism" / out,
            finished.folder / "artifacts/organism" / out,
        )


def _same_files(one: Path, other: Path) -> None:
    names = {path.relative_to(one) for path in one.rglob("*") if path.is_file()}
    assert names == {path.relative_to(other) for path in other.rglob("*") if path.is_file()}
    for name in names:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"prompt": "x", "colour": "red"}', "colour"),
        (json.dumps({"prompt": "word " * 500}), "tokens"),
        ('{"prompt": "twice"}\n{"prompt": "twice"}', "mine.jsonl:2"),
    ],
)
def test_a_bad_prompt_line_is_named_and_nothing_is_lost(
    finished: Project, tmp_path: Path, line: str, says: str
) -> None:
    project = _clone_with_caches(finished, tmp_path / "bad")
    (project.folder / "inputs" / "prompts" / "mine.jsonl").write_text(line + "\n", encoding="utf-8")
    done = project.run("python", "-m", "pipeline.stages.prompts", "organism", check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1
    assert "inputs/prompts/mine.jsonl" in done.stderr
    assert says in done.stderr
    assert (project.folder / "artifacts/organism/prompts.json").exists()
    assert (project.folder / "artifacts/organism/graphs").exists()
