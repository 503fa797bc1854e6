"""What was computed from what: stages of ``dvc.lock`` (or, before a run, ``dvc.yaml``)."""

from dataclasses import dataclass, replace
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, Final

import pandas as pd
import yaml

from dashboard.style.theme import HARMFUL, NEUTRAL
from store.base.errors import ArtifactMissingError, DamagedArtifactError

CODE: Final = "code"
"""The stage that says what each stage computes with."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stage of the pipeline.

    Attributes
    ----------
    name
        As DVC names it, ``graphs@organism``.
    command
        What it runs.
    deps, outs
        Paths, relative to the project.
    ran
        Whether ``dvc.lock`` has a run of it.
    """

    name: str
    command: str
    deps: tuple[str, ...]
    outs: tuple[str, ...]
    ran: bool


def _yaml(path: Path) -> dict[str, Any]:
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise DamagedArtifactError(
            f"{path} is not valid YAML; `git checkout -- {path.name}` restores it."
        ) from error
    return value if isinstance(value, dict) else {}


def _paths(entries: Any) -> tuple[str, ...]:
    paths = []
    for entry in entries or ():
        if isinstance(entry, dict):
            # dvc.lock writes {path: ..., md5: ...}, dvc.yaml {the path: {options}}.
            paths.append(str(entry.get("path", next(iter(entry), ""))))
        else:
            paths.append(str(entry))
    return tuple(paths)


def _fillings(entry: dict[str, Any], profile: str) -> list[dict[str, str]]:
    """What stands for ``${...}`` in each of the stages that an entry of ``dvc.yaml`` makes for a profile."""
    behaviours = entry.get("matrix", {}).get("behaviour")
    if behaviours is None:
        return [{"key": profile}]
    return [{"key": f"{profile}-{of}", "item.profile": profile, "item.behaviour": of} for of in behaviours]


def _filled(template: str, filling: dict[str, str]) -> str:
    for name, value in filling.items():
        template = template.replace(f"${{{name}}}", value)
    return template


def read_stages(root: Path, profile: str) -> list[Stage]:
    """Stages that ran, then stages of ``dvc.yaml`` that have not run yet.

    Parameters
    ----------
    root
        Root of the project.
    profile
        Which one's stages that have not run are told.

    Raises
    ------
    ArtifactMissingError
        There is no ``dvc.yaml``.
    DamagedArtifactError
        A file is not valid YAML.
    """
    if not (root / "dvc.yaml").exists():
        raise ArtifactMissingError("dvc.yaml does not exist here.")
    lock = root / "dvc.lock"
    stages = [
        Stage(
            name=str(name),
            command=str(entry.get("cmd", "")),
            deps=_paths(entry.get("deps")),
            outs=_paths(entry.get("outs")),
            ran=True,
        )
        for name, entry in (_yaml(lock).get("stages", {}) if lock.exists() else {}).items()
    ]
    ran = {stage.name for stage in stages}
    for name, entry in _yaml(root / "dvc.yaml").get("stages", {}).items():
        body, several = entry.get("do", entry), "foreach" in entry or "matrix" in entry
        for filling in _fillings(entry, profile):
            full = f"{name}@{filling['key']}" if several else str(name)
            if full in ran:
                continue
            stages.append(
                Stage(
                    name=full,
                    command=_filled(str(body.get("cmd", "")), filling),
                    deps=tuple(_filled(path, filling) for path in _paths(body.get("deps"))),
                    outs=tuple(_filled(path, filling) for path in _paths(body.get("outs"))),
                    ran=False,
                )
            )
    return stages


def is_code(path: str) -> bool:
    """Whether a dependency is what stage `code` wrote of a stage's modules, rather than data."""
    place = path.split("/")
    return place[0] == "artifacts" and place[2:3] == [CODE]


def links(stages: list[Stage]) -> list[tuple[str, str]]:
    """Pairs (maker, user) of stages: an out of the first is data that the second depends on."""
    found = []
    for user in stages:
        for maker in stages:
            if maker is user:
                continue
            if any(_inside(dep, out) for dep in user.deps if not is_code(dep) for out in maker.outs):
                found.append((maker.name, user.name))
    return found


def drawn_links(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those of the links that do not follow from others: a user's maker that no other of its makers uses."""
    makers: dict[str, set[str]] = {}
    for maker, user in pairs:
        makers.setdefault(user, set()).add(maker)

    @cache
    def before(stage: str) -> frozenset[str]:
        """All that a stage comes of, however far back."""
        mine = makers.get(stage, set())
        return frozenset(mine).union(*(before(maker) for maker in mine))

    return [
        (maker, user)
        for maker, user in pairs
        if not any(maker in before(other) for other in makers[user] if other != maker)
    ]


def _inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/") or folder.startswith(f"{path}/")


def _is_of(stage: Stage, profile: str) -> bool:
    """Whether a stage is one of a profile, or of none."""
    key = stage.name.partition("@")[2]
    return key in ("", profile) or any(out.startswith(f"artifacts/{profile}/") for out in stage.outs)


def _as_one(runs: list[Stage]) -> Stage:
    """One stage in the place of its runs for several behaviours."""
    first = runs[0]
    deps, outs = (tuple(chain.from_iterable(getattr(run, side) for run in runs)) for side in ("deps", "outs"))
    return replace(first, deps=deps, outs=outs, ran=all(run.ran for run in runs))


def dot(stages: list[Stage], stale: set[str], *, profile: str) -> str:
    """The stages of a profile as a Graphviz graph; a stale one has a dashed outline.

    Stage `code`, which stands before all others, is left out, as are links that follow from others. A stage
    that runs for each behaviour is drawn once, stale where one of them is.
    """
    runs: dict[str, list[Stage]] = {}
    for stage in stages:
        if stage.name.split("@")[0] != CODE and _is_of(stage, profile):
            runs.setdefault(stage.name.split("@")[0], []).append(stage)
    shown = [_as_one(each) for each in runs.values()]
    stale = {_as_one(each).name for each in runs.values() if any(one.name in stale for one in each)}
    names = {stage.name for stage in shown}
    # The page's style sheet colours texts: no one colour is read on a light and on a dark page alike.
    lines = [
        "digraph {",
        'rankdir=LR; bgcolor="transparent"; nodesep=0.2; ranksep=0.2;',
        f'node [shape=box style="rounded" fontname="sans-serif" fontsize=14 height=0.35 margin="0.08,0.03" '
        f'color="{NEUTRAL}"];',
        f'edge [color="{NEUTRAL}" arrowsize=0.6];',
    ]
    for stage in shown:
        look = ""
        if stage.name in stale or not stage.ran:
            look = f' style="rounded,dashed" color="{HARMFUL}" class="stale"'
        lines.append(f'"{_quoted(stage.name)}" [label="{_quoted(stage.name.split("@")[0])}"{look}];')
    lines += [
        f'"{_quoted(maker)}" -> "{_quoted(user)}";'
        for maker, user in drawn_links(links(shown))
        if maker in names and user in names
    ]
    return "\n".join([*lines, "}"])


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def frame(stages: list[Stage], stale: set[str]) -> pd.DataFrame:
    """Stages as a table: stage, state, command, from (data), to, and the file that lists its code."""
    # Whom a change of code concerns is known once stage `code` has run.
    ran = "code changed" if any(name.split("@")[0] == CODE for name in stale) else "ran"
    return pd.DataFrame(
        [
            {
                "stage": stage.name,
                "state": "not run" if not stage.ran else "stale" if stage.name in stale else ran,
                "from": ", ".join(dep for dep in stage.deps if not is_code(dep)),
                "to": ", ".join(stage.outs),
                "code": ", ".join(filter(is_code, stage.deps)),
                "command": stage.command,
            }
            for stage in stages
        ],
        columns=["stage", "state", "from", "to", "code", "command"],
    )
