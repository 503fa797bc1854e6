"""Stages on a hub, as a user has it: nothing but the hub is asked, and then nobody."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import constants

from pipeline.params.project import load_params
from pipeline.stages import models, prompts
from tests.support.builders import Checkpoint, add_adapter
from tests.support.chats import DATED, conversation, give_template
from tests.support.hub_server import HubServer
from tests.support.hub_subjects import upload_subject
from tests.support.places import ROOT

STAGES = """
import sys
from pipeline.params.project import load_params
from pipeline.stages import models, prompts
for stage in (models, prompts):
    stage.main("mine", load_params())
"""


def write_project(folder: Path, **profile: Any) -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    mine = {"focus": "general", "local": "here", "prompts": ["here"], **profile}
    params |= {"profiles": {"mine": mine}, "runtime": {"seed": 0, "threads": 1}}
    (folder / "here").mkdir(parents=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    lines = [{"prompt": "You should rest"}, {"messages": conversation("I have a fever.")}]
    (folder / "here" / "prompts.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def run_stages(folder: Path, hub: HubServer) -> str:
    """In a process that knows of the hub by its environment alone; what was printed."""
    home = {"HF_HOME": str(folder / "home"), "HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", STAGES],
        cwd=folder,
        env={**os.environ, **home, "PYTHONPATH": str(ROOT), "HF_HUB_DISABLE_PROGRESS_BARS": "1"},
        capture_output=True,
        text=True,
    )
    assert not done.returncode, done.stderr
    return done.stdout


def test_what_was_fetched_once_is_all_that_is_needed(
    hub: HubServer,
    checkpoint: Checkpoint,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    offline: Callable[[], None],
) -> None:
    copy = Checkpoint(folder=tmp_path / "subject")
    shutil.copytree(checkpoint.folder, copy.folder)
    give_template(copy.base, DATED)
    subject = upload_subject(hub, copy)
    # As public adapters lie: in a folder, on a branch, of an alias of the base.
    general = add_adapter(copy, "alias", r=2, lora_alpha=4, target_modules=["down_proj"])
    config = general / "adapter_config.json"
    config.write_text(config.read_text().replace(str(copy.base), "unsloth/base"))
    hub.upload("unsloth/base", copy.base)
    files = {f"checkpoint-1191/{path.name}": path.read_bytes() for path in general.iterdir()}
    hub.upload("some/organism", files, branch="seeds")
    project = tmp_path / "project"
    adapters = {"general": "some/organism/checkpoint-1191@seeds"}
    write_project(project, **(subject | {"adapters": adapters}), chat={"date": "26 Jul 2024"})
    said = run_stages(project, hub)
    assert f"some/layers@main is commit {hub.commit('some/layers', 'main')}" in said
    assert "was made for unsloth/base: the same weights as some/base" in said
    asked = {path.split("/resolve/")[0].split("/tree/")[0].split("/revision/")[0] for _, path in hub.asked}
    names = ("some/base", "some/set", "some/layers", "some/organism", "unsloth/base")
    assert asked == {f"/{name}" for name in names[:-1]} | {f"/api/models/{name}" for name in names}
    written = [project / "artifacts" / "mine" / name for name in ("models.json", "prompts.json")]
    before = [path.read_bytes() for path in written]
    manifest = json.loads(before[0])
    assert manifest["adapters"]["general"]["revision"] == hub.commit("some/organism", "seeds")
    hub.asked.clear()
    monkeypatch.chdir(project)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(project / "home" / "hub"))
    offline()
    for stage in (models, prompts):
        stage.main("mine", load_params())
    assert hub.asked == []
    assert [path.read_bytes() for path in written] == before
