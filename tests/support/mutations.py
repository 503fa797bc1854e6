"""Valid files, spoiled: byte by byte, and value by value. The same every time for one seed."""

import copy
import json
import random
from collections.abc import Callable
from typing import Any, Final

import yaml

from store.base.errors import StoreError, UserError

_RAW: Final = {
    "RAWDIGITS": "9" * 5000,
    "RAWDEEP": "[" * 1200,
    "RAWNEST": "[" * 400 + "]" * 400,
    "RAWNAN": "NaN",
    "RAWINFINITY": "-Infinity",
    "RAWHUGE": "1" + "0" * 400,
    "RAWEXPONENT": "1e999",
}
"""What stands in a file where no library would write it, by the word that is replaced by it."""

_VALUES: Final[tuple[Any, ...]] = (
    *_RAW,
    None,
    True,
    0,
    -1,
    2.5,
    1e308,
    10**30,
    "",
    " ",
    "x" * 100_000,
    "\ud800",
    "a\nb\0c\u2028",
    "(",
    "../..",
    [],
    {},
    [[1, "a"], None],
    {"a": {"b": [1]}},
)
_PIECES: Final = (
    b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b'"', b"\\", b"{", b"]", b":", b"\n", b"\t", b"- ", b"#", b"&a ",
    b"*a", b"!!int x", b"!!timestamp 1", b"2024-13-45", b"<<: *a", b"%YAML 9.9\n---\n", b"\\ud800", b"\xc3",
    b"'", b"|\n", b"0x" + b"f" * 6000, b"1:60:60", b"NaN", b"\xf0\x9f\x98\x80", b"?",
)  # fmt: skip


def spoiled_bytes(content: bytes, source: random.Random) -> bytes:
    """Some bytes flipped, cut, doubled or put in."""
    spoiled = bytearray(content)
    for _ in range(source.choice([1, 1, 2, 5])):
        at = source.randrange(len(spoiled) + 1)
        until = min(len(spoiled), at + source.choice([1, 4, 40]))
        how = source.randrange(5)
        if how == 0 and at < len(spoiled):
            spoiled[at] ^= 1 << source.randrange(8)
        elif how == 1:
            del spoiled[at:until]
        elif how == 2:
            spoiled[at:at] = spoiled[at:until]
        elif how == 3:
            spoiled[at:at] = source.choice(_PIECES)
        elif source.random() < 0.2:
            del spoiled[at:]
    return bytes(spoiled)


def spoiled_value(value: Any, source: random.Random) -> Any:
    """A copy in which something inside is replaced, removed, renamed, added or moved."""
    spoiled = copy.deepcopy(value)
    places = _places(spoiled)
    if not places:
        return source.choice(_VALUES)
    holder, key = source.choice(places)
    how = source.randrange(6)
    if how == 0:
        del holder[key]
    elif how == 1 and isinstance(holder, dict):
        holder[source.choice(["x" * 100_000, "\ud800", "", "RAWDIGITS", "a.b", f"{key} "])] = holder.pop(key)
    elif how == 2:
        other, place = source.choice(places)
        holder[key] = copy.deepcopy(other[place])
    elif how == 3:
        holder[key] = [holder[key]] if source.random() < 0.5 else {"a": holder[key]}
    else:
        holder[key] = copy.deepcopy(source.choice(_VALUES))
    return spoiled


def as_json(value: Any, source: random.Random) -> bytes:
    """JSON of a spoiled value, with what no library writes; now and then with a key twice."""
    return _raw(json.dumps(value), source, quote='"')


def as_yaml(value: Any, source: random.Random) -> bytes:
    """The same in YAML."""
    return _raw(yaml.safe_dump(value, sort_keys=False), source, quote="")


def is_told(read: Callable[[], object]) -> bool:
    """Whether a file is refused in one line; it is read otherwise, and any other error fails."""
    try:
        read()
    except (UserError, StoreError) as error:
        message = str(error)
        assert "\n" not in message
        assert 0 < len(message) < 1000, message[:2000]
        message.encode("utf-8")
        return True
    return False


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every holder and key of a value, inside out."""
    if isinstance(value, dict):
        keys: list[Any] = list(value)
    elif isinstance(value, list):
        keys = list(range(len(value)))
    else:
        return []
    return [(value, key) for key in keys] + [place for key in keys for place in _places(value[key])]


def _raw(text: str, source: random.Random, *, quote: str) -> bytes:
    for word, raw in _RAW.items():
        text = text.replace(f"{quote}{word}{quote}", raw)
    lines = text.split("\n")
    if source.random() < 0.1 and not quote:
        at = source.randrange(len(lines))
        lines.insert(at, lines[at])
    elif source.random() < 0.1 and text.startswith("{"):
        text = text[:1] + text[1:].split(",", 1)[0] + "," + text[1:]
        lines = [text]
    return "\n".join(lines).encode("utf-8", "surrogatepass")
