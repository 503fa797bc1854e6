"""What the project's modules import, read from their text."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.support.places import ROOT


@dataclass(frozen=True, kw_only=True)
class Import:
    """An imported module, and when it is imported.

    Attributes
    ----------
    name
        The module; ``from a import b`` names ``a.b`` where that is a module or a package.
    at_top
        Whether it is imported when its importer is.
    typing_only
        Whether only type checkers see it.
    """

    name: str
    at_top: bool
    typing_only: bool


def modules(package: str) -> list[Path]:
    """Files of all modules of a package."""
    return sorted((ROOT / package).rglob("*.py"))


def dotted(path: Path) -> str:
    """Name of the module in a file."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def imports(path: Path) -> tuple[Import, ...]:
    """All imports of a module."""
    return tuple(_imports(ast.parse(path.read_text(encoding="utf-8")), path))


def _imports(tree: ast.Module, path: Path) -> Iterator[Import]:
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
        for name in dict.fromkeys(names):
            yield Import(name=name, at_top=id(node) not in inside, typing_only=id(node) in typing_only)


def _named(module: str, name: str) -> str:
    path = ROOT.joinpath(*module.split("."), name)
    return f"{module}.{name}" if path.with_suffix(".py").exists() or path.is_dir() else module
