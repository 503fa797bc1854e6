"""What the text of a module says to `pipeline.items.code`, kept on the disk by the file's bytes.

Parsing is most of what a key costs, and every stage parses the same modules: the first does it for all.
"""

import ast
import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

from pipeline.run import code_digest
from pipeline.run.code_digest import is_docstring
from store.base.atomic import write_text

_KEPT: Final = Path(".cache/code.json")
"""Below a root: a line with the digest of the next, which is JSON; git-ignored, safe to delete."""

Imported = tuple[str, str]
"""A module, and a name in it; an empty one is the module itself."""


class Statement(NamedTuple):
    """A statement at the top of a module.

    Attributes
    ----------
    text
        Its syntax tree, without comments, docstrings and annotations.
    paths
        Dotted names that it loads, those in its annotations included.
    imports
        What it imports inside of it, by the name that it gives.
    """

    text: str
    paths: list[tuple[str, ...]]
    imports: dict[str, Imported]


class ParsedModule(NamedTuple):
    """A first-party module.

    Attributes
    ----------
    definitions
        Statements that bind a name, by the name: functions, classes and assignments.
    imports
        What it imports at its top, or where it runs something when it is imported.
    effects
        Statements that do something when it is imported.
    """

    definitions: dict[str, list[Statement]]
    imports: dict[str, Imported]
    effects: list[Statement]


def parse(content: bytes) -> ParsedModule:
    """What a module's file holds."""
    module = ParsedModule({}, {}, [])
    for statement in ast.parse(content).body:
        _add(module, statement)
    return module


class KeptModules:
    """Modules below a root; of a file that was parsed before, with these bytes, nothing is parsed."""

    def __init__(self, root: Path) -> None:
        self._path = root / _KEPT
        self._new: dict[str, Any] = {}

    def module(self, path: Path, name: str) -> ParsedModule:
        """The module in a file."""
        content = path.read_bytes()
        of = hashlib.sha256(content).hexdigest()
        if (known := self._known.get(name)) is not None and known["of"] == of:
            return _module(known)
        found = parse(content)
        self._new[name] = {"of": of, **found._asdict()}
        return found

    def keep(self) -> None:
        """Write down what was parsed since; where that cannot be, it is parsed again."""
        if self._new:
            self._known.update(self._new)
            self._new = {}
            text = json.dumps({"by": _parser(), "modules": self._known})
            with suppress(OSError):
                write_text(self._path, f"{_digest(text)}\n{text}")

    @cached_property
    def _known(self) -> dict[str, Any]:
        with suppress(OSError, ValueError):
            checksum, _, text = self._path.read_text(encoding="utf-8").partition("\n")
            if checksum == _digest(text) and (found := json.loads(text))["by"] == _parser():
                modules: dict[str, Any] = found["modules"]
                return modules
        return {}


def _module(known: Mapping[str, Any]) -> ParsedModule:
    def statements(rows: list[list[Any]]) -> list[Statement]:
        return [Statement(text, paths, imports) for text, paths, imports in rows]

    return ParsedModule(
        {name: statements(rows) for name, rows in known["definitions"].items()},
        known["imports"],
        statements(known["effects"]),
    )


def _parser() -> str:
    """Names all that decides how a module is parsed: this code, and Python's own."""
    files = (__file__, code_digest.__file__)
    return _digest(sys.version + "".join(Path(file).read_text(encoding="utf-8") for file in files))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _add(module: ParsedModule, statement: ast.stmt) -> None:
    if isinstance(statement, ast.Import | ast.ImportFrom):
        module.imports.update(_bindings(statement))
    elif isinstance(statement, ast.If) and _is_type_checking(statement):
        for inner in statement.body:
            _add(module, inner)
    elif isinstance(statement, ast.If) and ast.unparse(statement.test).startswith("__name__"):
        pass  # what a program does, not what importing it does
    elif bound := _bound(statement):
        parsed = _parsed(statement)
        for name in bound:
            module.definitions.setdefault(name, []).append(parsed)
    elif not is_docstring(statement):
        module.effects.append(_parsed(statement))
        for node in ast.walk(statement):
            if isinstance(node, ast.Import | ast.ImportFrom):
                module.imports.update(_bindings(node))


def _parsed(statement: ast.stmt) -> Statement:
    paths, inner = _paths(statement)
    imports = {name: of for each in inner for name, of in _bindings(each).items()}
    return Statement(_text(statement), sorted(paths), imports)


def _bindings(statement: ast.Import | ast.ImportFrom) -> dict[str, Imported]:
    if isinstance(statement, ast.ImportFrom):
        if statement.level or statement.module is None:
            return {}
        return {alias.asname or alias.name: (statement.module, alias.name) for alias in statement.names}
    # `import a.b` binds a; `import a.b as c` binds a.b.
    return {
        alias.asname or alias.name.split(".")[0]: (alias.name.split(".")[0], "")
        if alias.asname is None
        else (alias.name, "")
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
