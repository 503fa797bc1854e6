"""A clone of this working tree, in which DVC runs as a user would run it."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import yaml

from pipeline.items.closure import ROOT
from tests.support.stage_server import stage_programs

TINY = Path(__file__).with_name("tiny.yaml")
"""Parameters of a profile that runs through every stage in about a minute."""


def environment() -> dict[str, str]:
    """The tests' own interpreter first on PATH, stages and DVC from the server; no settings of the user."""
    places = [str(stage_programs()), str(Path(sys.executable).parent), os.environ["PATH"]]
    return {
        **os.environ,
        "PATH": os.pathsep.join(places),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "test",
        "GIT_AUTHOR_EMAIL": "test@localhost",
        "GIT_COMMITTER_NAME": "test",
        "GIT_COMMITTER_EMAIL": "test@localhost",
        "DVC_NO_ANALYTICS": "1",
        "HF_HUB_OFFLINE": "1",
    }


@dataclass(frozen=True)
class Project:
    """A git clone with DVC in it."""

    folder: Path

    def run(self, *command: str, check: bool = True, **extra: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the clone; its output is in the error if it fails."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=environment() | extra,
            capture_output=True,
            text=True,
            timeout=900,
        )
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
        return done

    def commit(self, message: str) -> None:
        """Commit all that git does not ignore."""
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", message)

    def clone(self, folder: Path) -> "Project":
        """``git clone`` elsewhere: no artifacts, no caches."""
        subprocess.run(
            ["git", "clone", "--quiet", str(self.folder), str(folder)],
            check=True,
            env=environment(),
        )
        return Project(folder)

    def copy(self, folder: Path) -> "Project":
        """The project with its artifacts and item cache, free to change.

        Files in the caches of DVC and of items are hard links, for nobody writes into one that is there.
        """
        caches = (self.folder / ".dvc" / "cache", self.folder / ".cache" / "items")

        def linked(source: str, target: str) -> None:
            if any(Path(source).is_relative_to(cache) for cache in caches):
                os.link(source, target, follow_symlinks=False)
            else:
                shutil.copy2(source, target, follow_symlinks=False)

        shutil.copytree(self.folder, folder, symlinks=True, copy_function=linked)
        return Project(folder)

    def repro(self, *targets: str, **extra: str) -> str:
        """``dvc repro``; what the stages printed."""
        done = self.run("dvc", "repro", *targets, **extra)
        return done.stdout + done.stderr

    def locked(self) -> dict[str, str]:
        """Path of every out and its checksum, from ``dvc.lock``."""
        return {out["path"]: out["md5"] for stage in self._lock().values() for out in stage.get("outs", [])}

    def commands(self) -> dict[str, list[str]]:
        """Command of every stage that ran, by its name; each after those whose outs it depends on."""
        stages = self._lock()
        by = {Path(out["path"]): name for name, stage in stages.items() for out in stage.get("outs", [])}
        after = {
            name: [
                by[out]
                for dep in stage.get("deps", [])
                for out in by
                if out.is_relative_to(dep["path"]) or Path(dep["path"]).is_relative_to(out)
            ]
            for name, stage in stages.items()
        }
        return {name: stages[name]["cmd"].split() for name in TopologicalSorter(after).static_order()}

    def _lock(self) -> dict[str, Any]:
        lock: dict[str, Any] = yaml.safe_load((self.folder / "dvc.lock").read_text(encoding="utf-8"))
        return dict(lock["stages"])

    def require_outs_of(self, other: "Project") -> None:
        """Every out that the other has locked must lie here, the same to the byte."""
        for out in other.locked():
            made, expected = _files(self.folder / out), _files(other.folder / out)
            assert (self.folder / out).exists(), f"{out} was not made"
            assert list(made) == list(expected), out
            for name, path in expected.items():
                assert made[name].read_bytes() == path.read_bytes(), (out, name)

    def metrics(self, profile: str, stage: str) -> dict[str, Any]:
        """The metrics that a stage wrote."""
        path = self.folder / "artifacts" / profile / "metrics" / f"{stage}.json"
        metrics: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return metrics

    def params(self) -> dict[str, Any]:
        """``params.yaml`` as it stands in the clone."""
        params: dict[str, Any] = yaml.safe_load((self.folder / "params.yaml").read_text("utf-8"))
        return params

    def write_params(self, params: dict[str, Any]) -> None:
        """Replace ``params.yaml``."""
        (self.folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")


def _files(out: Path) -> dict[Path, Path]:
    """Files of an out by their paths within it; of one that is a file, the empty one."""
    return {path.relative_to(out): path for path in sorted((out, *out.rglob("*"))) if path.is_file()}


def computed(output: str) -> dict[str, tuple[int, int]]:
    """What each collection's lines say: (computed in all, from the cache at last)."""
    counts: dict[str, tuple[int, int]] = {}
    for label, new, old in re.findall(
        r"^([\w/]+): (\d+) computed, (\d+) from the cache$", output, re.MULTILINE
    ):
        counts[label] = counts.get(label, (0, 0))[0] + int(new), int(old)
    return counts


def copied_project(folder: Path) -> Project:
    """The files of the working tree that git keeps, or would keep, copied to `folder`."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in listed.stdout.splitlines():
        source = ROOT / name
        if source.is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    return Project(folder)


def tiny_project(folder: Path) -> Project:
    """The working tree as a fresh repository, with the tiny parameters in ``params.yaml``."""
    project = copied_project(folder)
    params = project.params()
    for section, values in yaml.safe_load(TINY.read_text(encoding="utf-8")).items():
        params[section] |= values
    made, profile = params["organisms"]["organism"]["adapters"], params["profiles"]["organism"]
    profile["adapters"] = {name: place for name, place in profile["adapters"].items() if name in made}
    profile["nulls"] = [name for name in profile["nulls"] if name in made]
    project.write_params(params)
    project.run("git", "init", "--quiet", "--initial-branch=main")
    project.commit("tiny profile")
    return project
