"""Which room of the dashboard may import what, and that no page but live ones loads torch."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from dashboard.pages import PAGES
from dashboard.shell import url
from tests.support.places import ROOT

ROOMS: Final[dict[str, set[str]]] = {
    "app": {"navigation"},
    "pages": set(),
    "navigation": {"pages", "style", "data", "shell", "widgets"},
    "style": set(),
    "charts": {"style"},
    "data": {"style"},
    "graph": {"style"},
    "live": {"style", "data"},
    "shell": {"pages", "style", "data", "charts"},
    "widgets": {"pages", "style", "data", "live", "shell", "charts", "graph"},
    "views": {"pages", "style", "data", "live", "shell", "charts", "graph", "widgets"},
}
"""Beside itself, what each room imports of the others; nobody imports views."""

OUTSIDE: Final[dict[str, set[str]]] = {
    "charts": {"altair", "pandas", "numpy"},
    "style": {"pandas", "store"},
}
"""What rooms that only know how things look import of other packages."""

AT_TOP: Final = ("pipeline.analysis", "pipeline.text", "pipeline.interventions.kinds")
"""The parts of the pipeline that need no torch; `kinds` says what a page asks the engine for."""

MODULES: Final = sorted(path for path in (ROOT / "dashboard").rglob("*.py") if path.name != "__init__.py")


class _Import:
    """An import statement's module, and whether it is executed when its own module is."""

    def __init__(self, name: str, *, at_top: bool, typing_only: bool) -> None:
        self.name, self.at_top, self.typing_only = name, at_top, typing_only


def _imports(path: Path) -> Iterator[_Import]:
    """All imports of a module; ``from a import b`` names ``a.b`` where that is a module or package."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    inside = {id(inner) for node in functions for inner in ast.walk(node)}
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names = [_named(str(node.module), alias.name) for alias in node.names]
        for name in names:
            yield _Import(name, at_top=id(node) not in inside, typing_only=id(node) in typing_only)


def _named(module: str, name: str) -> str:
    path = ROOT.joinpath(*module.split("."), name)
    return f"{module}.{name}" if path.with_suffix(".py").exists() or path.is_dir() else module


def _room(name: str) -> str:
    return name.split(".")[1]


def _dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def _pairs() -> Iterator[tuple[str, _Import]]:
    """Every module of the dashboard with each of its imports."""
    for path in MODULES:
        for one in _imports(path):
            yield _dotted(path), one


def test_a_room_imports_what_it_may() -> None:
    for module, one in _pairs():
        mine, package = _room(module), one.name.split(".")[0]
        if package == "dashboard":
            other = _room(one.name)
            assert other == mine or other in ROOMS[mine], f"{module}: {mine} does not know {one.name}"
        elif mine in OUTSIDE and package not in sys.stdlib_module_names:
            assert package in OUTSIDE[mine], f"{module}: {mine} does not know {one.name}"


def test_no_page_imports_another() -> None:
    for module, one in _pairs():
        if module.startswith("dashboard.views.") and one.name.startswith("dashboard.views."):
            assert one.name.split(".")[2] == module.split(".")[2], f"{module} imports {one.name}"


def test_live_is_the_only_door_to_torch() -> None:
    for module, one in _pairs():
        package = one.name.split(".")[0]
        if one.typing_only or one.name.startswith(AT_TOP) or package not in {"pipeline", "torch"}:
            continue
        assert _room(module) == "live", f"{module}: only dashboard.live runs models, not {one.name}"
        assert not one.at_top, f"{module} imports {one.name} before anybody runs a model"


def test_one_module_touches_the_url() -> None:
    for path in MODULES:
        if _dotted(path) == "dashboard.shell.url":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not (isinstance(node, ast.Attribute) and node.attr == "query_params"), path
            assert not (isinstance(node, ast.keyword) and node.arg == "bind"), path
    names = [parameter.name for parameter in url.PARAMETERS]
    assert len(set(names)) == len(names)


def test_pages_are_the_views_there_are() -> None:
    folders = {path.parent.name for path in (ROOT / "dashboard" / "views").glob("*/page.py")}
    assert folders == {page.name for page in PAGES}


@pytest.mark.parametrize("package", ["store", "pipeline", "dashboard"])
def test_no_import_circle(package: str) -> None:
    graph = {
        _dotted(path).removesuffix(".__init__"): {
            one.name for one in _imports(path) if one.at_top and not one.typing_only
        }
        for path in (ROOT / package).rglob("*.py")
    }
    done: set[str] = set()

    def visit(name: str, behind: tuple[str, ...]) -> None:
        assert name not in behind, " -> ".join([*behind[behind.index(name) :], name])
        if name in done:
            return
        for other in sorted(graph[name] & graph.keys() - {name}):
            visit(other, (*behind, name))
        done.add(name)

    for name in sorted(graph):
        visit(name, ())


WITHOUT_TORCH: Final = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "transformers", "circuit_tracer", "transformer_lens"}:
            raise ImportError(f"{name} is refused")
sys.meta_path.insert(0, Refuse())
import importlib, json
from streamlit.testing.v1 import AppTest
scripts, modules = map(json.loads, sys.argv[1:])
app = AppTest.from_file("dashboard/app.py", default_timeout=60).run()
for script in scripts:
    app.switch_page(script).run()
    assert not app.exception, (script, app.exception)
    assert not app.error, (script, app.error)
for module in modules:
    importlib.import_module(module)
assert sys.modules.keys().isdisjoint({"torch", "transformers"})
"""


def test_pages_work_without_torch(demo_root: Path) -> None:
    """In a process of its own, where importing torch fails; one process for all pages.

    Modules of pages that run models are imported there, too: they need torch only once they run one.
    """
    scripts = [page.script for page in PAGES if not page.runs_models]
    run = {ROOT / "dashboard" / page.script for page in PAGES}
    modules = [_dotted(path) for path in MODULES if path not in run]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, json.dumps(scripts), json.dumps(modules)],
        env={"EMC_ROOT": str(demo_root), "PATH": "/usr/bin:/bin", "HOME": str(demo_root)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
