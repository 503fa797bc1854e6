"""Which room of the dashboard may import what, and that no page but live ones loads torch."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from dashboard.pages import PAGES
from dashboard.shell import query
from tests.support.imports import Import, dotted, imports, modules
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

AT_TOP: Final = (
    "pipeline.analysis",
    "pipeline.text",
    "pipeline.labels",
    "pipeline.params",
    "pipeline.interventions.kinds",
    "pipeline.recipes",
)
"""The parts of the pipeline that need no torch; `kinds` says what a page asks the engine for."""

MODULES: Final = [path for path in modules("dashboard") if path.name != "__init__.py"]


def _room(name: str) -> str:
    return name.split(".")[1]


def _pairs() -> Iterator[tuple[str, Import]]:
    """Every module of the dashboard with each of its imports."""
    for path in MODULES:
        for one in imports(path):
            yield dotted(path), one


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
        if dotted(path) == "dashboard.shell.url":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not (isinstance(node, ast.Attribute) and node.attr == "query_params"), path
            assert not (isinstance(node, ast.keyword) and node.arg == "bind"), path
    names = [parameter.name for parameter in query.PARAMETERS]
    assert len(set(names)) == len(names)


def test_pages_are_the_views_there_are() -> None:
    folders = {path.parent.name for path in (ROOT / "dashboard" / "views").glob("*/page.py")}
    assert folders == {page.name for page in PAGES}


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
app = AppTest.from_file("dashboard/app.py", default_timeout=180).run()
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
    modules = [dotted(path) for path in MODULES if path not in run]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, json.dumps(scripts), json.dumps(modules)],
        env={"EMC_ROOT": str(demo_root), "PATH": "/usr/bin:/bin", "HOME": str(demo_root)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
