"""Text that people and other programs wrote, parsed: UTF-8, JSON and YAML.

The parsers that all use raise a dozen kinds of errors (a number of 5,000 digits, nesting without
end, a date that is none) and keep the last of two equal keys without a word. Here all of that is
one error that knows its line, and what it quotes is short.
"""

import json
import reprlib
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

_QUOTED: Final = 60
"""Characters of a value that a sentence quotes; more would be no sentence."""
_SAID: Final = 300
"""Characters of what a library says that a sentence quotes."""
_MEND: Final = "mend it"
_MANY_DIGITS: Final = "a number of too many digits"
_HALF: Final = "holds half of a surrogate pair"
_DEEP: Final = ("nested too deeply", "write it flatter")


class MalformedError(ValueError):
    """Text is not what it should be; the message says what, and the way out, without a full stop.

    Attributes
    ----------
    what
        The message without the way out.
    line
        Where, 1-based; None where that is not known.
    """

    def __init__(self, what: str, remedy: str, *, line: int | None = None) -> None:
        super().__init__(f"{what}; {remedy}")
        self.what = what
        self.line = line

    def told(self, path: Path) -> str:
        """The sentence about a file."""
        return f"{path}{'' if self.line is None else f':{self.line}'}: {self}."


def read_text(path: Path) -> str:
    """A file's text, without the mark that some editors put in front.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    MalformedError
        It is a folder, may not be read, or is not UTF-8.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise MalformedError(f"it cannot be read ({error.strerror})", "put a file there that can") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise MalformedError(
            f"not UTF-8 at byte {error.start}", "save the file as UTF-8", line=line
        ) from error


def parse_json(text: str, *, remedy: str = _MEND) -> Any:
    """What a JSON text says.

    Parameters
    ----------
    text
        The text.
    remedy
        The way out where it is no JSON.

    Raises
    ------
    MalformedError
        It is not JSON, repeats a key, or holds what Python does not read.
    """
    try:
        return json.loads(text, object_pairs_hook=_once, parse_int=_integer)
    except json.JSONDecodeError as error:
        what = f"not JSON ({error.msg} at column {error.colno})"
        raise MalformedError(what, remedy, line=error.lineno) from error
    except RecursionError as error:
        raise MalformedError(*_DEEP) from error


def parse_yaml(text: str) -> Any:
    """What a YAML text of plain types says.

    Raises
    ------
    MalformedError
        It is not YAML, repeats a key, or holds what Python does not read.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = None if mark is None else mark.line + 1
        said = error.problem or error.context or "unreadable"
        raise MalformedError(f"not YAML ({one_line(said)})", _MEND, line=line) from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # The two built-in ones from where YAML reads escapes and its own version.
        raise MalformedError(f"not YAML ({one_line(error)})", _MEND) from error
    except RecursionError as error:
        raise MalformedError(*_DEEP) from error


def line_of(text: str, place: Sequence[str | int]) -> int | None:
    """The line of a YAML text where a value stands, or as far as its keys lead; 1-based.

    Parameters
    ----------
    text
        What `parse_yaml` reads.
    place
        Keys and indices from the top.
    """
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    line: int | None = None
    for part in place:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == str(part)), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line


def quoted(value: object) -> str:
    """A value as Python writes it, cut to what a sentence can hold."""
    return one_line(_SHORT.repr(value))


def one_line(said: Exception | str) -> str:
    """A library's message without line breaks and full stop, cut, to be quoted in a sentence."""
    text = " ".join(str(said)[: 10 * _SAID].split()).removesuffix(".")
    if len(text) > _SAID:
        text = f"{text[:_SAID]} ..."
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for key, item in pairs:
        if not _is_unicode(key):
            raise MalformedError(f"the key {quoted(key)} {_HALF}", "write the whole character")
        if key in value:
            raise MalformedError(f"the key {quoted(key)} stands there twice", "keep one")
        value[key] = item
    return value


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _integer(digits: str) -> int:
    try:
        return int(digits)
    except ValueError as error:
        raise MalformedError(_MANY_DIGITS, "write a shorter one") from error


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # yaml ships no types
    """YAML's plain types; a value that is none of its type is told with its line."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            found = super().construct_object(node, deep=deep)
        except (ValueError, OverflowError, ArithmeticError, LookupError, AttributeError) as error:
            # What the constructors of numbers, dates and truth values raise on other text.
            kind = node.tag.rpartition(":")[2]
            many = "Exceeds the limit" in str(error)
            what = _MANY_DIGITS if many else f"{quoted(node.value)} is no {kind}"
            raise yaml.constructor.ConstructorError(None, None, what, node.start_mark) from error
        if isinstance(found, str) and not _is_unicode(found):
            what = f"{quoted(found)} {_HALF}"
            raise yaml.constructor.ConstructorError(None, None, what, node.start_mark)
        return found

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        if isinstance(node, yaml.MappingNode):
            seen: set[tuple[str, str]] = set()
            # Before keys that `<<` merges, which others may stand over.
            for key, _ in node.value:
                if isinstance(key, yaml.ScalarNode):
                    name = (key.tag, key.value)
                    if name in seen:
                        what = f"the key {quoted(key.value)} stands there twice"
                        raise yaml.constructor.ConstructorError(None, None, what, key.start_mark)
                    seen.add(name)
        found: dict[Hashable, Any] = super().construct_mapping(node, deep=deep)
        return found


class _Short(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = self.maxlong = _QUOTED
        self.maxlevel = self.maxdict = self.maxlist = self.maxtuple = 3

    def repr_int(self, x: int, level: int) -> str:
        try:
            return super().repr_int(x, level)
        except ValueError:  # Python writes no more than 4,300 digits
            return _MANY_DIGITS


_SHORT: Final = _Short()
