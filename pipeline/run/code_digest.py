"""A module's code as a digest, and whether what a stage computes with is still what was listed."""

import ast
import hashlib
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from store.base.errors import UserError


def is_docstring(statement: ast.stmt) -> bool:
    """Whether a statement is a text by itself: of a module, a class, a function or an attribute."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


@cache
def code_digest(path: Path) -> str:
    """16 hex digits of a module's syntax tree without docstrings; comments and layout are in none.

    Annotations count, for pydantic reads them.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(body := getattr(node, "body", None), list):  # a lambda's is no list
            node.body = [each for each in body if not is_docstring(each)]  # type: ignore[attr-defined]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:16]


def require_listed_code(root: Path, listing: Path) -> None:
    """Refuse to run a stage of DVC's with other code than stage `code` listed, which DVC would not see.

    Parameters
    ----------
    root
        Root of the project.
    listing
        What stage `code` wrote of the stage; where there is none, or DVC does not run the stage, all is well.

    Raises
    ------
    UserError
        A module was edited while ``dvc repro`` ran.
    """
    if "DVC_STAGE" not in os.environ or not listing.exists():
        return
    written = listing.stat().st_mtime
    for name, digest in _listed(listing):
        path = root / name
        if not path.exists() or (path.stat().st_mtime > written and code_digest(path) != digest):
            raise UserError(
                f"{name} was edited since stage `code` looked at it; run `dvc repro` again, what was "
                "finished is kept."
            )


def _listed(listing: Path) -> Iterator[tuple[str, str]]:
    for line in listing.read_text(encoding="utf-8").splitlines():
        name, _, digest = line.partition(" ")
        if digest:  # a pinned library has none
            yield name, digest
