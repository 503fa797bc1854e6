"""Tests mirror the rooms of the packages, and helpers live in `tests.support`."""

import ast
from pathlib import Path
from typing import Final

import pytest

from tests.support.places import ROOT

TESTS: Final = ROOT / "tests"
PACKAGES: Final = ("store", "pipeline", "dashboard")
MODULES: Final = sorted(TESTS.rglob("*.py"))


def _imported(path: Path) -> set[str]:
    """Names of the modules of tests that a module imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] == "tests"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(TESTS)))
def test_nothing_imports_from_a_test_module_or_a_conftest(path: Path) -> None:
    parts = {part for name in _imported(path) for part in name.split(".")}
    assert not {part for part in parts if part == "conftest" or part.startswith("test_")}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_folder_of_tests_is_a_room(package: str) -> None:
    for path in (TESTS / package).rglob("*.py"):
        room = path.parent.relative_to(TESTS)
        assert (ROOT / room).is_dir(), f"{path.relative_to(ROOT)} tests a room that there is not"


def test_helpers_hold_no_tests() -> None:
    assert not list((TESTS / "support").rglob("test_*.py"))
