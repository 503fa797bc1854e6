"""READMEs say what is true of the tree: links, pictures, and the code that their walks name."""

import ast
import re
from pathlib import Path

import pytest

from tests.support.places import ROOT

PAGES = (
    "README.md",
    "inputs/README.md",
    "inputs/behaviours/README.md",
    "inputs/prompts/README.md",
    "inputs/finetunes/README.md",
    "pipeline/README.md",
    "dashboard/README.md",
    "store/FORMAT.md",
)


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_links_to_exists(page: str) -> None:
    path = ROOT / page
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), f"{page} links to {target}"


def defined(path: Path) -> set[str]:
    """Names of functions, methods, classes and constants of a module."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    names = {n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    return names | {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def module_of(parts: list[str], package: Path) -> tuple[Path, list[str]] | None:
    """The module that a dotted name begins with, in the package or from the root, and the rest."""
    for start in (package, ROOT):
        for length in range(len(parts), 0, -1):
            path = start.joinpath(*parts[:length]).with_suffix(".py")
            if path.exists():
                return path, parts[length:]
    return None


@pytest.mark.parametrize("page", ["pipeline/README.md", "dashboard/README.md"])
def test_what_a_walk_names_exists(page: str) -> None:
    package = (ROOT / page).parent
    checked = 0
    for quoted in re.findall(r"`([^`\n]+)`", (ROOT / page).read_text(encoding="utf-8")):
        if match := re.fullmatch(r"([\w/]+)\.py: (\w+)", quoted):
            found = module_of([*match[1].split("/"), match[2]], package)
        elif re.fullmatch(r"[a-z_]+(\.\w+)+", quoted) and not quoted.endswith(
            (".yaml", ".json", ".js", ".py")
        ):
            found = module_of(quoted.split("."), package)
            if found is None and not (package / quoted.split(".")[0]).is_dir():
                continue  # a method of something, or a library
        else:
            continue
        assert found is not None, f"{page} names {quoted}"
        path, rest = found
        assert set(rest) <= defined(path), f"{page} names {quoted}, which {path.name} does not define"
        checked += 1
    assert checked > 15
