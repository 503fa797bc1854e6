"""What a stage may run: the first-party import closure of a module, and the libraries.

DVC reruns a stage when a module of its import closure changes (`pipeline.items.stage_code`). A rerun
takes from the item cache what an edit did not touch: that is decided exactly, by `pipeline.items.code`.
"""

import ast
import importlib.metadata
import re
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGES: Final = ("pipeline", "store")
LIBRARIES: Final = (
    "circuit-tracer",
    "numpy",
    "peft",
    "safetensors",
    "scipy",
    "tokenizers",
    "torch",
    "transformer-lens",
    "transformers",
)
"""Libraries whose version can change an item: part of every key."""
_OF_TABLES: Final = ("krippendorff", "pandas", "scikit-learn", "sparse", "xarray")
"""Those that tables are made with, beside."""
_MODULE: Final = re.compile(rf"({'|'.join(PACKAGES)})(\.\w+)+")


def file_of(module: str, root: Path = ROOT) -> Path | None:
    """The file of a first-party module or package below a root, None if there is none."""
    path = root.joinpath(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.exists():
            return candidate
    return None


@cache
def _imported(path: Path) -> frozenset[str]:
    """First-party modules that a file imports when it runs: at its top, in a function, or by name.

    What is computed only where an item is missing is imported by its name, a text
    (`pipeline.items.units.Unit.compute`).
    """
    names: set[str] = set()
    pending: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            # `from package import module` imports the module; `... import name` does not.
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            pending += node.orelse
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names |= {node.value} if _MODULE.fullmatch(node.value) else set()
        else:
            pending += ast.iter_child_nodes(node)
    return frozenset(name for name in names if name.split(".")[0] in PACKAGES)


@cache
def import_closure(module: str, root: Path = ROOT) -> tuple[str, ...]:
    """Files of the module and of all it imports from this project, relative and sorted.

    A package's ``__init__`` counts for each of its modules, since Python runs it.
    """
    pending, seen = [module], set[Path]()
    while pending:
        name = pending.pop()
        path = file_of(name, root)
        if path is None or path in seen:
            continue
        seen.add(path)
        parts = name.split(".")
        pending += [".".join(parts[:i]) for i in range(1, len(parts))]
        pending += _imported(path)
    return tuple(sorted(path.relative_to(root).as_posix() for path in seen))


@cache
def library_versions() -> dict[str, str]:
    """Versions of the libraries that take part in the numbers."""
    return {name: importlib.metadata.version(name) for name in LIBRARIES}


def pinned_libraries(root: Path = ROOT) -> str:
    """The lines of ``requirements.txt`` that pin libraries whose version can change a number.

    They are part of what a stage computes with, so that another torch reruns it and another
    Streamlit does not.
    """
    lines = (root / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return "".join(f"{line}\n" for line in sorted(lines) if line.split("==")[0] in {*LIBRARIES, *_OF_TABLES})
