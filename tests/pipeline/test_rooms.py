"""Which room of the pipeline may import what, and that the architecture shows in the folders."""

import re
from pathlib import Path
from typing import Final

import networkx as nx
import pytest

from tests.support.imports import dotted, imports, modules
from tests.support.places import ROOT

ROOMS: Final[dict[str, set[str]]] = {
    "text": set(),
    "params": set(),
    "run": {"params"},
    "analysis": {"params", "text"},
    "prompts": {"models", "params", "text"},
    "labels": {"analysis", "params", "run", "text"},
    "models": {"text"},
    "items": {"models", "params", "run"},
    "cache": {"items", "params", "run"},
    "finetuning": {"models", "params", "text"},
    "organism": {"finetuning", "models", "params", "run", "text"},
    "attribution": {"analysis", "items", "models", "params", "run"},
    "checks": {"attribution", "models"},
    "doctor": {"checks", "models", "params", "prompts", "run", "text"},
    "features": {"analysis", "attribution", "items", "models", "text"},
    "evaluation": {"items", "models", "prompts", "text"},
    "behaviours": {
        "attribution",
        "features",
        "finetuning",
        "interventions",
        "items",
        "models",
        "params",
        "text",
    },
    "interventions": {"analysis", "items", "models", "text"},
    "recipes": {"analysis", "interventions", "labels", "text"},
    "judging": {"labels", "models", "params", "run", "text"},
    "naming": {"analysis", "judging", "labels", "params", "text"},
    "scoring": {"analysis", "judging", "organism", "params", "text"},
    "exchange": {
        "analysis",
        "attribution",
        "behaviours",
        "evaluation",
        "items",
        "labels",
        "models",
        "params",
        "run",
        "text",
    },
    "discover": {
        "analysis",
        "attribution",
        "items",
        "judging",
        "labels",
        "models",
        "params",
        "prompts",
        "run",
        "text",
    },
    "steered": {
        "analysis",
        "evaluation",
        "items",
        "judging",
        "models",
        "params",
        "scoring",
        "text",
    },
    "live": {"analysis", "attribution", "interventions", "items", "models", "params", "prompts", "text"},
}
"""Beside itself, what each room imports of the others; `stages` imports any, and nobody stages."""

MODELS: Final = {"torch", "transformers", "circuit_tracer", "transformer_lens", "peft"}
WITH_MODELS: Final = {
    "models",
    "finetuning",
    "organism",
    "attribution",
    "checks",
    "doctor",
    "features",
    "evaluation",
    "behaviours",
    "interventions",
    "exchange",
    "live",
}
"""Rooms that hold models; others import torch nowhere but in `LAZY`."""

LAZY: Final = {
    # Fixes torch's threads; imported by programs, which run models.
    "pipeline.run.determinism",
    # Tokenizers come from transformers.
    "pipeline.text.tokens",
    "pipeline.text.phrases",
    "pipeline.text.held_out",
    "pipeline.prompts.files",
    "pipeline.prompts.keep",
    "pipeline.prompts.typed",
    # A model that judges; the other judges have none.
    "pipeline.judging.local_judge",
}

PIPELINE: Final = [path for path in modules("pipeline") if len(path.relative_to(ROOT).parts) > 2]


def room(name: str) -> str:
    return name.split(".")[1]


@pytest.mark.parametrize("path", PIPELINE, ids=dotted)
def test_a_room_imports_what_it_may(path: Path) -> None:
    mine = room(dotted(path))
    for one in imports(path):
        package = one.name.split(".")[0]
        assert package not in {"dashboard", "streamlit", "altair"}, f"{one.name}: the pipeline draws nothing"
        if package == "pipeline" and one.name.count("."):
            other = room(one.name)
            allowed = (
                (mine == "stages" and other != "stages") or other == mine or other in ROOMS.get(mine, set())
            )
            assert allowed, f"{mine} does not know {one.name}"


@pytest.mark.parametrize("path", PIPELINE, ids=dotted)
def test_only_rooms_that_hold_models_import_torch(path: Path) -> None:
    name = dotted(path)
    if room(name) in WITH_MODELS or name in LAZY:
        return
    heavy = {one.name for one in imports(path) if not one.typing_only} & MODELS
    assert not heavy, f"{name} imports {heavy}"


@pytest.mark.parametrize("package", ["store", "pipeline", "dashboard"])
def test_a_module_is_read_in_one_sitting(package: str) -> None:
    long = {
        dotted(path): n for path in modules(package) if (n := len(path.read_text("utf-8").splitlines())) > 300
    }
    assert not long


@pytest.mark.parametrize("package", ["store", "pipeline", "dashboard"])
def test_no_import_circle(package: str) -> None:
    graph = nx.DiGraph()
    for path in modules(package):
        graph.add_edges_from(
            (dotted(path), one.name) for one in imports(path) if one.at_top and not one.typing_only
        )
    assert list(nx.simple_cycles(graph.subgraph(map(dotted, modules(package))))) == []


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [
        ("store", {*MODELS, "streamlit", "altair", "pipeline", "dashboard"}),
        ("pipeline", {"dashboard", "tests"}),
    ],
)
def test_packages_point_one_way(package: str, forbidden: set[str]) -> None:
    for path in modules(package):
        assert not {one.name.split(".")[0] for one in imports(path)} & forbidden, dotted(path)


def test_modules_are_imported_not_the_stores_lazy_names() -> None:
    # What `store/__init__.py` hands out lazily would be missing from the import closure.
    for path in [*modules("pipeline"), *modules("store")]:
        assert "store" not in {one.name for one in imports(path)}, dotted(path)


def test_science_knows_nothing_of_dvc() -> None:
    knowing = {
        dotted(path) for path in modules("pipeline") for one in imports(path) if one.name.startswith("dvc")
    }
    assert knowing == {"pipeline.items.recorded"}


def test_every_room_says_what_it_is_for() -> None:
    for folder in {path.parent for path in PIPELINE}:
        text = (folder / "__init__.py").read_text(encoding="utf-8")
        assert text.startswith('"""'), f"{folder} has no docstring"
    told = (ROOT / "pipeline" / "README.md").read_text(encoding="utf-8")
    assert {name for name in [*ROOMS, "stages"] if f"`{name}`" not in told} == set()


def test_stages_are_thin_programs() -> None:
    for path in (ROOT / "pipeline" / "stages").glob("*.py"):
        if path.name != "__init__.py":
            text = path.read_text(encoding="utf-8")
            assert text.startswith(f'"""Stage `{path.stem}`:')
            assert re.search(r'if __name__ == "__main__":\n    run_(behaviour_)?stage\(main', text)
