"""Every shipped profile, from a hub on loopback to every page: ``python -m tests.bench.profiles [NAME ...]``.

NAME is a profile of `shipped` in params.yaml; ``NAME:float32`` runs it in that dtype instead of its own.
Without any, all are run, and the first in float32, too. It takes some three minutes a profile, so CI does
not run it: do so when a shipped profile, or a stage or page that shows one, has changed.

The hub serves random weights in each profile's layout (`tests.support.public_layouts`): two layers, names,
keys and dtypes as they are published. In a fresh clone with prompts of a user's own, texts and chats with a
system's words, ``make profile NAME=...`` runs all stages, and every page is opened on a prompt of either
kind. A row of the table is a stage or a page; one that is not ok makes the exit code 1.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

import pytest
import yaml
from streamlit.testing.v1 import AppTest

from dashboard.pages import PAGES
from pipeline.params.project import load_params
from store.documents.failures import read_failures
from store.documents.prompts import Prompt, read_prompts
from tests.support.hub_server import HubServer, asked_by, hub_server
from tests.support.places import ROOT
from tests.support.project import Project, environment
from tests.support.shipped_project import put_on, shipped_project

_RUNNING: Final = re.compile(r"Running stage '(\w+)@")
_TRAINED: Final = {"organism", "transcoders", "adapters", "materials"}
"""Stages of a profile that is trained here."""
_TAIL: Final = 15
"""Lines of a run that failed."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A stage or a page; `fault` is empty where it is ok."""

    what: str
    seconds: float
    fault: str = ""


def main(asked: list[str]) -> int:
    """Run the profiles, and print the table as it grows."""
    shipped = load_params(ROOT / "params.yaml").shipped
    names = asked or [*shipped, f"{next(iter(shipped))}:float32"]
    print("| profile | stage or page | s | ok |\n|---|---|---|---|", flush=True)
    faults = 0
    with tempfile.TemporaryDirectory(prefix="profiles-") as folder, _hub(Path(folder) / "home") as hub:
        for place, asked_for in enumerate(names):
            name, _, dtype = asked_for.partition(":")
            home = Path(folder) / str(place)
            put_on(hub, shipped[name], home / "made")
            project = shipped_project(home / "project", name, dtype or shipped[name].dtype)
            for row in chain(stages(project, name), pages(project, name)):
                faults += bool(row.fault)
                print(f"| {asked_for} | {row.what} | {row.seconds:.1f} | {row.fault or 'ok'} |", flush=True)
    return int(faults > 0)


@contextmanager
def _hub(home: Path) -> Iterator[HubServer]:
    """A hub that this process asks, and every process that it starts."""
    with hub_server() as hub, pytest.MonkeyPatch.context() as patch, asked_by(patch, hub, home / "hub"):
        for name, value in {"HF_ENDPOINT": hub.url, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0"}.items():
            patch.setenv(name, value)
        yield hub


def stages(project: Project, name: str) -> Iterator[Row]:
    """Run ``make profile``; a row a stage, as each ends."""
    run = subprocess.Popen(
        ["make", "--old-file=setup", "profile", f"NAME={name}"],  # what it would install is here
        cwd=project.folder,
        env=environment() | {"HF_HUB_OFFLINE": "0", "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert run.stdout is not None
    missing = set(yaml.safe_load((project.folder / "dvc.yaml").read_text("utf-8"))["stages"]) - _TRAINED
    stage, begun, said = "dvc", time.perf_counter(), list[str]()
    for line in run.stdout:
        said.append(line)
        if found := _RUNNING.search(line):
            yield _ended(project, name, stage, begun)
            stage, begun = found[1], time.perf_counter()
            missing.discard(stage)
    if run.wait():
        print("".join(said[-_TAIL:]), file=sys.stderr, flush=True)
        yield Row(what=stage, seconds=time.perf_counter() - begun, fault="failed, as above")
    else:
        yield _ended(project, name, stage, begun)
    for stage in sorted(missing):
        yield Row(what=stage, seconds=0.0, fault="did not run")


def _ended(project: Project, name: str, stage: str, begun: float) -> Row:
    """A stage that went through; its fault is what it could not compute."""
    path = project.folder / "artifacts" / name / "failures" / f"{stage}.json"
    failures = read_failures(path) if path.exists() else ()
    return Row(
        what=stage,
        seconds=time.perf_counter() - begun,
        fault=f"{len(failures)} failed: {failures[0].reason}" if failures else "",
    )


def pages(project: Project, name: str) -> Iterator[Row]:
    """Open every page on the first text and on the first chat."""
    prompts = project.folder / "artifacts" / name / "prompts.json"
    os.environ["EMC_ROOT"] = str(project.folder)
    for kind, prompt in _of_each_kind(read_prompts(prompts)).items() if prompts.exists() else ():
        app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=300)
        app.query_params["profile"], app.query_params["prompt"] = name, prompt.hash
        app.run()
        for page in PAGES:
            begun = time.perf_counter()
            app.switch_page(page.script).run()
            said = [*app.exception, *app.error]
            yield Row(
                what=f"{page.title}, {kind}",
                seconds=time.perf_counter() - begun,
                fault=" ".join(str(said[0].value).split()) if said else "",
            )


def _of_each_kind(prompts: Sequence[Prompt]) -> dict[str, Prompt]:
    """A text, and a chat where there is one: the project's texts begin with their user."""
    found = {("text" if "User: " in prompt.text else "chat"): prompt for prompt in reversed(prompts)}
    return dict(sorted(found.items()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
