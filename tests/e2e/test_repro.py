"""``dvc repro`` on a small profile in a clean clone, and what DVC users expect of it."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from pipeline.run.behaviour_stage import outs_of_pair
from pipeline.run.outs import outs_of
from tests.support.forked import Ended, forked
from tests.support.project import Project, computed, environment, tiny_project

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

COMMANDS = {
    # A second run has nothing to redo.
    "dvc repro": "Data and pipelines are up to date",
    "dvc status": "up to date",
    "dvc dag": "features@organism",
    "dvc metrics show": "capitals",
    "dvc params diff HEAD~1 --all": "Path",
    "dvc plots show": "file://",
}
"""What a user asks of a finished project, with a part of the answer."""


@pytest.fixture(scope="module")
def answers(finished: Project) -> dict[str, Ended]:
    """What DVC's commands answer in the finished project."""
    programs = {command: f"sys.exit(main({command.split()[1:]}))" for command in COMMANDS}
    imports = "import sys, dvc.repo\nfrom dvc.cli import main"
    return forked(programs, imports=imports, folder=finished.folder, environment=environment())


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_answer(answers: dict[str, Ended], command: str) -> None:
    done = answers[command]
    assert done.code == 0, done.errors
    assert COMMANDS[command] in done.out


def test_stages_know_what_dvc_says_they_write(finished: Project) -> None:
    lock = yaml.safe_load((finished.folder / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    for name, stage in lock.items():
        program, key = name.split("@")
        profile, _, behaviour = key.partition("-")
        pair = outs_of_pair(finished.folder, program, profile, behaviour)
        outs = pair if behaviour else outs_of(finished.folder, program, key)
        assert sorted(map(str, outs)) == sorted(out["path"] for out in stage["outs"]), name


WITHOUT_MODELS = """
for library in {libraries}:
    sys.modules[library] = None
sys.argv = ["stage", "{key}"]
runpy.run_module("pipeline.stages.{stage}", run_name="__main__", alter_sys=True)
"""


def test_a_stage_with_nothing_to_compute_imports_no_models(finished: Project, tmp_path: Path) -> None:
    project = finished.copy(tmp_path / "whole")
    models = ("torch", "transformers", "circuit_tracer")
    stages = {
        stage: WITHOUT_MODELS.format(stage=stage, libraries=models, key="organism")
        for stage in (
            "candidates",
            "judge",
            "labels",
            "graphs",
            "dose",
            "activations",
            "components",
            "features",
            "names",
            "validation",
            "evaluate",
            "recipes",
            "misalignment",
            "faithfulness",
            "steered",
            "interventions",
            "behaviour_interventions",
        )
    }
    for stage in ("baseline", "behaviour_features", "behaviour_graphs"):
        stages[stage] = WITHOUT_MODELS.format(stage=stage, libraries=models, key="organism-recall")
    # What makes tokens needs transformers, and nothing else.
    for stage, key in (
        ("prompts", "organism"),
        ("behaviour_prompts", "organism-recall"),
        ("circuits", "organism"),
    ):
        libraries = ("torch", "circuit_tracer")
        stages[stage] = WITHOUT_MODELS.format(stage=stage, libraries=libraries, key=key)
    imports = "import runpy, sys, pandas, scipy.stats, sparse, xarray, zarr"
    for stage, done in forked(
        stages, imports=imports, folder=project.folder, environment=environment()
    ).items():
        assert done.code == 0, (stage, done.errors)
        assert all(new == 0 for new, _ in computed(done.out).values()), (stage, done.out)


def test_an_experiment_changes_what_it_names(finished: Project, tmp_path: Path) -> None:
    project = finished.copy(tmp_path / "experiment")
    done = project.run("dvc", "exp", "run", "--set-param", "features.fdr=0.2", "features@organism")
    assert "Running stage 'features@organism'" in done.stdout
    assert "Running stage 'graphs@organism'" not in done.stdout
    difference = project.run("dvc", "params", "diff", "--json").stdout
    assert json.loads(difference)["params.yaml"]["features.fdr"]["new"] == 0.2


def _killed_while_it_traces(project: Project) -> None:
    """The stage `graphs`, ended as soon as some of its items are there."""
    items = project.folder / ".cache" / "items"
    before = len(list(items.rglob("*.safetensors")))
    stage = subprocess.Popen(
        [sys.executable, "-m", "pipeline.stages.graphs", "organism"],  # itself, not one that asks for it
        cwd=project.folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 300
    while len(list(items.rglob("*.safetensors"))) < before + 5 and time.monotonic() < deadline:
        assert stage.poll() is None, "the stage ended before it could be killed"
        time.sleep(0.05)
    stage.send_signal(signal.SIGKILL)
    stage.wait()


def test_the_same_params_give_the_same_bytes_though_a_run_was_killed(
    finished: Project, tmp_path: Path
) -> None:
    """Stages run as DVC runs them, but by themselves: its lock file takes as long as they do."""
    again = tiny_project(tmp_path / "again")
    said = ""
    for name, command in finished.commands().items():
        if name == "graphs@organism":
            _killed_while_it_traces(again)
        said += again.run(*command).stdout
    gone_on = computed(said)
    assert sum(gone_on[kind][0] for kind in ("graphs", "adapters", "full_graphs")) > 0
    assert gone_on["graphs"][1] > 0, "what was finished before is there"
    again.require_outs_of(finished)


BAD_LINES = {
    '{"prompt": "x", "colour": "red"}': "colour",
    json.dumps({"prompt": "word " * 500}): "tokens",
    '{"prompt": "twice"}\n{"prompt": "twice"}': "mine.jsonl:2",
}
NOWHERE = "inputs/prompts/nowhere"
STAGE = """
open({path!r}, "w").write({content!r})
sys.argv = ["stage", "organism"]
runpy.run_module("pipeline.stages.{stage}", run_name="__main__")
"""


@pytest.fixture(scope="module")
def refused(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, dict[str, Ended]]:
    """A project in which stages met what a user wrote wrongly, and how they ended."""
    project = finished.copy(tmp_path_factory.mktemp("bad") / "project")
    stages = {
        line: STAGE.format(path="inputs/prompts/mine.jsonl", content=f"{line}\n", stage="prompts")
        for line in BAD_LINES
    }
    params = project.params()
    params["profiles"]["organism"] |= {"model": NOWHERE, "local": "inputs"}
    stages[NOWHERE] = STAGE.format(path="params.yaml", content=yaml.safe_dump(params), stage="models")
    imports = (
        "import runpy, sys, pipeline.models.loading\n"
        "from pipeline.run.determinism import make_deterministic\n"
        "make_deterministic(0, 1)  # its own imports too"
    )
    return project, forked(stages, imports=imports, folder=project.folder, environment=environment())


@pytest.mark.parametrize("line", BAD_LINES)
def test_a_bad_prompt_line_is_named_and_nothing_is_lost(
    refused: tuple[Project, dict[str, Ended]], line: str
) -> None:
    project, ended = refused
    done = ended[line]
    assert done.code == 1
    assert "Traceback" not in done.errors
    assert done.errors.count("\n") == 1
    assert "inputs/prompts/mine.jsonl" in done.errors
    assert BAD_LINES[line] in done.errors
    assert (project.folder / "artifacts/organism/prompts.json").exists()
    assert (project.folder / "artifacts/organism/graphs").exists()


def test_a_missing_folder_is_one_sentence(refused: tuple[Project, dict[str, Ended]]) -> None:
    _, ended = refused
    assert ended[NOWHERE].code == 1
    assert ended[NOWHERE].errors == (
        f"Error: params.yaml: profiles.organism.model is '{NOWHERE}', which does not exist; "
        "put the files there or correct the path.\n"
    )
