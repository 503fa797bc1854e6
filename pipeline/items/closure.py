"""The first-party import closure of a module: what a change of code can affect.

DVC reruns a stage when a module of its closure changes (``dvc.yaml`` lists them, kept true
by a test), and an item's content key holds the closure's digest, so a change of code never
reuses an old item and an unrelated edit never recomputes one.
"""

import ast
import importlib.metadata
from functools import cache
from pathlib import Path
from typing import Final

from store.base.atomic import write_text
from store.base.hashing import digest, file_digest

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
"""Libraries whose version can change a number."""
PINNED: Final = "pipeline/items/libraries.txt"
"""Their pinned versions, kept true by a test."""


def _file_of(module: str) -> Path | None:
    path = ROOT.joinpath(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.exists():
            return candidate
    return None


def _imported(path: Path) -> set[str]:
    """First-party modules that a file imports when it runs, at its top or in a function."""
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
        else:
            pending += ast.iter_child_nodes(node)
    return {name for name in names if name.split(".")[0] in PACKAGES}


@cache
def import_closure(module: str) -> tuple[str, ...]:
    """Files of the module and of all it imports from this project, relative and sorted.

    A package's ``__init__`` counts for each of its modules, since Python runs it.
    """
    pending, seen = [module], set[Path]()
    while pending:
        name = pending.pop()
        path = _file_of(name)
        if path is None or path in seen:
            continue
        seen.add(path)
        parts = name.split(".")
        pending += [".".join(parts[:i]) for i in range(1, len(parts))]
        pending += _imported(path)
    return tuple(sorted(path.relative_to(ROOT).as_posix() for path in seen))


def library_versions() -> dict[str, str]:
    """Versions of the libraries that take part in the numbers."""
    return {name: importlib.metadata.version(name) for name in LIBRARIES}


@cache
def code_digest(module: str) -> str:
    """Digest of a module's closure and of the library versions, for content keys."""
    files = {name: file_digest(ROOT / name) for name in import_closure(module)}
    return digest({"files": files, "libraries": library_versions()})


def pinned_libraries() -> str:
    """The lines of ``requirements.txt`` that pin `LIBRARIES`: content of ``libraries.txt``.

    Stages depend on that file, so that another torch reruns them and another Streamlit
    does not.
    """
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return "".join(f"{line}\n" for line in sorted(lines) if line.split("==")[0] in LIBRARIES)


def stage_dependencies(stage: str) -> tuple[str, ...]:
    """The files that ``dvc.yaml`` must list as code dependencies of a stage."""
    return (*import_closure(f"pipeline.stages.{stage}"), PINNED)


def is_code(dependency: str) -> bool:
    """Whether a dependency in ``dvc.yaml`` is first-party code."""
    return dependency == PINNED or (dependency.endswith(".py") and dependency.split("/")[0] in PACKAGES)


def rewrite(pipeline_file: Path) -> None:
    """Bring the code dependencies in ``dvc.yaml`` up to date, keeping its comments."""
    # Installed with DVC, which edits its own files with it.
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 100
    yaml.indent(mapping=2, sequence=4, offset=2)
    document = yaml.load(pipeline_file)
    for name, stage in document["stages"].items():
        deps = stage["do"]["deps"]
        data = [dependency for dependency in deps if not is_code(dependency)]
        deps[:] = [*data, *stage_dependencies(name)]
    with pipeline_file.open("w", encoding="utf-8") as file:
        yaml.dump(document, file)


if __name__ == "__main__":
    write_text(ROOT / PINNED, pinned_libraries())
    rewrite(ROOT / "dvc.yaml")
