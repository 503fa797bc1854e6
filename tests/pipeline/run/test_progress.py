"""What a stage says of itself while it runs: of this process, whoever computes; gone when it ends."""

import platform
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.items.cache import ItemCache
from pipeline.items.code import QualifiedName
from pipeline.items.executor import in_this_process
from pipeline.run import progress
from pipeline.run.progress import announced, counted
from store.base.running import FOLDER, Running, read_running, write_running
from store.collections.item import Item
from tests.support.forked import forked
from tests.support.places import ROOT
from tests.support.processes import ended_process, heard
from tests.support.shared_work import compute, no_models, shared_unit


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a stage is at is written so often that no test waits for it."""
    monkeypatch.setattr(progress, "EVERY", 0.005)


@pytest.mark.usefixtures("often")
def test_what_is_counted_is_told_until_it_is_over(tmp_path: Path) -> None:
    with announced("graphs", "organism", tmp_path):
        (first,) = read_running(tmp_path)
        assert (first.stage, first.profile, first.units, first.total) == ("graphs", "organism", "", 0)
        with counted(3, "graphs and adapters") as counts:
            counts.update()
            counts.failed = 1
            counts.page = "http://127.0.0.1:8787/status"
            said = heard(tmp_path, lambda one: one.failed == 1 and bool(one.page))
            assert (said.units, said.total, said.done) == ("graphs and adapters", 3, 1)
            assert 0 < said.counted <= said.seconds
            counts.update(2)
            heard(tmp_path, lambda one: one.done == 3)
        heard(tmp_path, lambda one: one.units == "" and one.total == 0)
    assert list((tmp_path / FOLDER).iterdir()) == []


@pytest.mark.usefixtures("often")
def test_what_counts_inside_of_another_takes_nothing_from_it(tmp_path: Path) -> None:
    with announced("graphs", "organism", tmp_path), counted(3, "outer"):
        with counted(1, "inner"):
            heard(tmp_path, lambda one: one.units == "inner")
        heard(tmp_path, lambda one: (one.units, one.total) == ("outer", 3))


def test_who_counts_without_a_stage_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with counted(2, "candidates") as counts:
        counts.update()
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_refuses_ends_no_stage(tmp_path: Path) -> None:
    (tmp_path / FOLDER.parts[0]).write_text("no folder")
    with announced("graphs", "organism", tmp_path), counted(1, "graphs") as counts:
        counts.update()


def test_what_killed_stages_of_a_profile_left_goes_and_what_others_say_stays(tmp_path: Path) -> None:
    here, dead, now = platform.node(), ended_process(), time.time()
    for stage, profile, host, told in (
        ("killed", "mine", here, now),
        ("killed", "other", here, now),
        ("lost", "mine", "elsewhere", now - 7200),
        ("runs", "mine", "far away", now),
    ):
        said = Running(profile=profile, stage=stage, host=host, process=dead, told=told)
        write_running(tmp_path / profile, said)
    for profile in ("mine", "other"):
        with announced("next", "mine", tmp_path / profile):
            left = {"mine": {"next", "runs"}, "other": {"next", "killed"}}[profile]
            assert {one.stage for one in read_running(tmp_path / profile)} == left


def follows(models: Any, unit: Any) -> Iterator[tuple[str, Item]]:
    """Computed once the stage has said that all units before are over, and how many of them failed."""
    root, before, failed = (unit.arguments[name] for name in ("root", "before", "failed"))
    heard(Path(root), lambda one: (one.done, one.failed, one.total) == (before, failed, 4))
    yield from compute(models, unit)


@pytest.mark.usefixtures("often")
def test_an_executor_counts_what_is_over_and_what_failed(tmp_path: Path) -> None:
    units = [
        replace(
            shared_unit(i, root=str(tmp_path), before=i, failed=int(i > 1), unable=i == 1),
            compute=QualifiedName(__name__, "follows"),
        )
        for i in range(4)
    ]
    with announced("graphs", "organism", tmp_path):
        assert len(in_this_process(units, no_models, ItemCache(tmp_path / "items"), "graphs")) == 1


STAGE = """
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from store.base.errors import UserError
from store.base.running import read_running

__spec__ = ModuleSpec("pipeline.stages.prompts", None)

def main(profile, params):
    print(*((one.stage, one.profile) for one in read_running(Path())))
    raise UserError("Mend it.")

sys.argv = ["stage", "organism"]
run_stage(main, Params)
"""
IMPORTS = "from pipeline.params.project import Params\nfrom pipeline.run.stage import run_stage"


def test_a_stage_says_that_it_runs_and_that_is_gone_also_where_it_fails(tmp_path: Path) -> None:
    for name in ("params.yaml", "dvc.yaml"):
        (tmp_path / name).symlink_to(ROOT / name)
    programs = {"one": STAGE}
    done = forked(programs, imports=IMPORTS, folder=tmp_path, environment={"PYTHONPATH": str(ROOT)})["one"]
    assert (done.out, done.errors) == ("('prompts', 'organism')\n", "Error: Mend it.\n")
    assert list((tmp_path / FOLDER).iterdir()) == []
