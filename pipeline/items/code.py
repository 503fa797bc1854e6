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

import ast
import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.items.closure import PACKAGES, ROOT, file_of
from pipeline.run.code_digest import is_docstring

Definition = ast.stmt
"""A statement at the top of a module that binds names: a function, a class, an assignment."""


class QualifiedName(NamedTuple):
    """A name at the top of a module; an empty one is the module itself, whole."""

    module: str
    name: str


def root_of(function: Callable[..., Any] | type) -> QualifiedName:
    """The name under which a module-level function or class stands in its module."""
    if "<" in function.__qualname__ or "." in function.__qualname__:
        raise ValueError(f"{function.__qualname__} is not at the top of its module, so no key can name it")
    return QualifiedName(function.__module__, function.__qualname__)


class ParsedModule:
    """A first-party module: its definitions, its imports, and what runs when it is imported."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.definitions: dict[str, list[Definition]] = {}
        self.imports: dict[str, QualifiedName] = {}
        self.effects: list[ast.stmt] = []
        for statement in ast.parse(path.read_text(encoding="utf-8")).body:
            self._add(statement)

    def _add(self, statement: ast.stmt) -> None:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            self.imports |= _bindings(statement)
        elif isinstance(statement, ast.If) and _is_type_checking(statement):
            for inner in statement.body:
                self._add(inner)
        elif isinstance(statement, ast.If) and ast.unparse(statement.test).startswith("__name__"):
            pass  # what a program does, not what importing it does
        elif bound := _bound(statement):
            for name in bound:
                self.definitions.setdefault(name, []).append(statement)
        elif not is_docstring(statement):
            self.effects.append(statement)
            for node in ast.walk(statement):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    self.imports |= _bindings(node)


class CodeBase:
    """The first-party code below a root, parsed once.

    Parameters
    ----------
    root
        The folder that holds the packages `pipeline` and `store`.
    """

    def __init__(self, root: Path = ROOT) -> None:
        self._root = root
        self._modules: dict[str, ParsedModule | None] = {}
        self._texts: dict[QualifiedName, str] = {}
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
            if name is None or name in found:
                continue
            self._read(name)
            found[name] = self._texts[name]
            pending += self._leads[name]
        return {name: text for name, text in found.items() if name.name or text}

    def _read(self, name: QualifiedName) -> None:
        """Note a definition's text, and what it leads to; `name` is resolved."""
        module = self._module(name.module)
        if name in self._texts or module is None:
            return
        statements = module.definitions[name.name] if name.name else module.effects
        self._texts[name] = "\n".join(_text(statement) for statement in statements)
        leads = [QualifiedName(package, "") for package in _with_packages(name.module)]
        for statement in statements:
            leads += self._named(module, statement)
        self._leads[name] = leads

    def _module(self, name: str) -> ParsedModule | None:
        if name not in self._modules:
            path = file_of(name, self._root) if name.split(".")[0] in PACKAGES else None
            self._modules[name] = None if path is None else ParsedModule(name, path)
        return self._modules[name]

    def _resolve(self, name: QualifiedName) -> QualifiedName | None:
        """Where a name is defined, behind re-exports; None outside of this project."""
        module = self._module(name.module)
        if module is None:
            return None
        if not name.name or name.name in module.definitions:
            return name
        if name.name in module.imports:
            return self._resolve(module.imports[name.name])
        # `from package import module`
        return (
            QualifiedName(f"{name.module}.{name.name}", "")
            if self._module(f"{name.module}.{name.name}")
            else None
        )

    def _named(self, module: ParsedModule, statement: ast.stmt) -> Iterator[QualifiedName]:
        """What a definition names: of its own module, or imported at the top or inside of it."""
        paths, inner = _paths(statement)
        bindings = module.imports | {name: of for each in inner for name, of in _bindings(each).items()}
        for first, *rest in paths:
            if first in bindings:
                yield from self._through(bindings[first], rest)
            elif first in module.definitions:
                yield QualifiedName(module.name, first)

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


def _bindings(statement: ast.Import | ast.ImportFrom) -> dict[str, QualifiedName]:
    if isinstance(statement, ast.ImportFrom):
        if statement.level or statement.module is None:
            return {}
        return {
            alias.asname or alias.name: QualifiedName(statement.module, alias.name)
            for alias in statement.names
        }
    # `import a.b` binds a; `import a.b as c` binds a.b.
    return {
        alias.asname or alias.name.split(".")[0]: QualifiedName(alias.name.split(".")[0], "")
        if alias.asname is None
        else QualifiedName(alias.name, "")
        for alias in statement.names
    }


def _bound(statement: ast.stmt) -> list[str]:
    """Names that a definition binds; none for any other statement."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.Assign):
        targets = [node for target in statement.targets for node in ast.walk(target)]
    elif isinstance(statement, ast.AnnAssign | ast.AugAssign):
        targets = [statement.target]
    else:
        return []
    return [node.id for node in targets if isinstance(node, ast.Name)]


def _is_type_checking(statement: ast.If) -> bool:
    return ast.unparse(statement.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def _paths(statement: ast.stmt) -> tuple[set[tuple[str, ...]], list[ast.Import | ast.ImportFrom]]:
    """Dotted names that a statement loads, those in quoted annotations included, and imports inside of it."""
    pending: list[ast.AST] = [statement]
    paths: set[tuple[str, ...]] = set()
    imports: list[ast.Import | ast.ImportFrom] = []
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Attribute | ast.Name):
            path: list[str] = []
            inner: ast.AST = node
            while isinstance(inner, ast.Attribute):
                path.append(inner.attr)
                inner = inner.value
            if isinstance(inner, ast.Name):
                paths.add((inner.id, *reversed(path)))
            else:
                pending.append(inner)
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            imports.append(node)
        for quoted in _annotations(node):
            if isinstance(quoted, ast.Constant) and isinstance(quoted.value, str):
                # Another text (a pattern of pydantic's) is no annotation.
                with suppress(SyntaxError):
                    pending.append(ast.parse(quoted.value, mode="eval").body)
        for name in node._fields:
            part = getattr(node, name, None)
            if isinstance(part, list):
                pending += [each for each in part if isinstance(each, ast.AST)]
            elif isinstance(part, ast.AST):
                pending.append(part)
    return paths, imports


def _annotations(node: ast.AST) -> Iterator[ast.AST]:
    """Annotations that stand at a node, and the parts of them that may be quoted."""
    if isinstance(node, ast.arg | ast.AnnAssign):
        annotation = node.annotation
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        annotation = node.returns
    else:
        return iter(())
    return iter(()) if annotation is None else ast.walk(annotation)


def _text(statement: ast.stmt) -> str:
    """The syntax tree as `ast.dump` writes it, without docstrings and annotations; comments are in none."""
    return _dumped(statement)


def _dumped(part: Any) -> str:
    if isinstance(part, list):
        return f"[{', '.join(map(_dumped, part))}]"
    if not isinstance(part, ast.AST):
        return repr(part)
    written = []
    for name in part._fields:
        value = getattr(part, name, None)
        if name == "body" and isinstance(value, list):
            value = [statement for statement in value if not is_docstring(statement)] or [ast.Pass()]
        elif (name == "returns" and isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)) or (
            name == "annotation" and isinstance(part, ast.arg)
        ):
            value = None
        elif name == "annotation" and isinstance(part, ast.AnnAssign):
            # A field's name stays, with its default: both shape what a dataclass does.
            value = ast.Constant(None)
        if value is not None or getattr(type(part), name, ...) is not None:
            written.append(f"{name}={_dumped(value)}")
    return f"{type(part).__name__}({', '.join(written)})"
