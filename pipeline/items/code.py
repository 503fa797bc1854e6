"""Exactly which code computes an item: definitions that it reaches, by their syntax trees.

An item's content key holds the digest of what its computation reaches: function by function,
class by class and constant by constant, without comments, docstrings and annotations. So a
comment or an unrelated edit recomputes nothing, and a change of code never reuses an old item.

Reached is every definition that a reached one names, in its body, its decorators or its
annotations: an object that a function works on comes from a parameter (its class is in the
annotation), from a call (the callee is named) or from a constant. Annotations lead on but are
not hashed. What is called by a name that is made at run time (`getattr`, `import_module`) is
not seen; computations of items use neither for code of this project.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.items.closure import PACKAGES, ROOT, file_of
from pipeline.items.parsed import KeptModules, ParsedModule, Statement


class QualifiedName(NamedTuple):
    """A name at the top of a module; an empty one is the module itself, whole."""

    module: str
    name: str


def root_of(function: Callable[..., Any] | type) -> QualifiedName:
    """The name under which a module-level function or class stands in its module."""
    if "<" in function.__qualname__ or "." in function.__qualname__:
        raise ValueError(f"{function.__qualname__} is not at the top of its module, so no key can name it")
    return QualifiedName(function.__module__, function.__qualname__)


class CodeBase:
    """The first-party code below a root.

    Parameters
    ----------
    root
        The folder that holds the packages `pipeline` and `store`.
    """

    def __init__(self, root: Path = ROOT) -> None:
        self._root = root
        self._kept = KeptModules(root)
        self._modules: dict[str, ParsedModule | None] = {}
        self._leads: dict[QualifiedName, list[QualifiedName]] = {}
        self._digests: dict[frozenset[QualifiedName], str] = {}

    def digest(self, roots: Iterable[QualifiedName]) -> str:
        """SHA-256 over all that the roots reach, 64 hex digits."""
        key = frozenset(roots)
        if key not in self._digests:
            sha = hashlib.sha256()
            for name, text in sorted(self.reached(key).items()):
                sha.update(f"{name.module}:{name.name}\n{text}\n".encode())
            self._digests[key] = sha.hexdigest()
        return self._digests[key]

    def reached(self, roots: Iterable[QualifiedName]) -> dict[QualifiedName, str]:
        """Every definition that the roots reach, with its syntax tree as text.

        Raises
        ------
        LookupError
            A root is not defined where it should be.
        """
        found: dict[QualifiedName, str] = {}
        pending = list(roots)
        for root in pending:
            if self._resolve(root) is None:
                raise LookupError(f"{root.module} defines no {root.name}")
        while pending:
            name = self._resolve(pending.pop())
            if name is None or name in found or (module := self._module(name.module)) is None:
                continue
            statements = module.definitions[name.name] if name.name else module.effects
            found[name] = "\n".join(statement.text for statement in statements)
            if name not in self._leads:
                self._leads[name] = self._named(name.module, module, statements)
            pending += self._leads[name]
        self._kept.keep()
        return {name: text for name, text in found.items() if name.name or text}

    def _module(self, name: str) -> ParsedModule | None:
        if name not in self._modules:
            path = file_of(name, self._root) if name.split(".")[0] in PACKAGES else None
            self._modules[name] = None if path is None else self._kept.module(path, name)
        return self._modules[name]

    def _resolve(self, name: QualifiedName) -> QualifiedName | None:
        """Where a name is defined, behind re-exports; None outside of this project."""
        module = self._module(name.module)
        if module is None:
            return None
        if not name.name or name.name in module.definitions:
            return name
        if name.name in module.imports:
            return self._resolve(QualifiedName(*module.imports[name.name]))
        # `from package import module`
        return (
            QualifiedName(f"{name.module}.{name.name}", "")
            if self._module(f"{name.module}.{name.name}")
            else None
        )

    def _named(self, name: str, module: ParsedModule, statements: Iterable[Statement]) -> list[QualifiedName]:
        """What statements of a module name: of its own, or imported; and the packages that Python runs."""
        found = [QualifiedName(package, "") for package in _with_packages(name)]
        for statement in statements:
            bindings = module.imports | statement.imports
            for first, *rest in statement.paths:
                if first in bindings:
                    found += self._through(QualifiedName(*bindings[first]), rest)
                elif first in module.definitions:
                    found.append(QualifiedName(name, first))
        return found

    def _through(self, name: QualifiedName, attributes: list[str]) -> Iterator[QualifiedName]:
        """What `name.attribute...` is, where name is a module; else what name itself is."""
        target = self._resolve(name)
        if target is None:
            return
        if target.name:
            yield target
        elif attributes:
            yield from self._through(QualifiedName(target.module, attributes[0]), attributes[1:])
        elif found := self._module(target.module):
            # The module as an object: whatever is in it may be used.
            yield from (QualifiedName(target.module, each) for each in found.definitions)


@cache
def code_base() -> CodeBase:
    """This project's code."""
    return CodeBase()


def _with_packages(module: str) -> list[str]:
    """A module and the packages around it: Python runs them all."""
    parts = module.split(".")
    return [".".join(parts[: i + 1]) for i in range(len(parts))]
