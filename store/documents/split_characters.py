"""Characters that a tokenizer splits over tokens: how their bytes are written, and put together.

A token that holds a part of a character only has no text of its own. Its bytes stand in its place, each as
``⟨C3⟩``: in ``prompts.json``, in ``vocabulary.json``, and wherever one token is shown by itself.
"""

import re
from collections.abc import Sequence
from typing import Final

_RUN: Final = re.compile(r"(?:⟨[0-9A-F]{2}⟩)+")


def spelled(content: bytes) -> str:
    """Text of bytes; those that are of no whole character are written one by one.

    >>> spelled("ü".encode()), spelled(b" \\xf0\\x9f")
    ('ü', ' ⟨F0⟩⟨9F⟩')
    """
    # The handler gives each byte that is of no character as the half of a surrogate pair: U+DC80 and up.
    text = content.decode("utf-8", "surrogateescape")
    return "".join(f"⟨{ord(c) - 0xDC00:02X}⟩" if "\udc80" <= c <= "\udcff" else c for c in text)


def spans(tokens: Sequence[str]) -> list[tuple[int, int]]:
    """Tokens in a row that share characters, as first position and the one behind the last.

    Tokens that make up no whole character together stand alone.

    >>> spans(["Z", "⟨C3⟩", "⟨BC⟩", "r", "⟨F0⟩"])
    [(0, 1), (1, 3), (3, 4), (4, 5)]
    """
    found: list[tuple[int, int]] = []
    first = 0
    while first < len(tokens):
        end = first + 1
        while _is_open(tokens[first:end]) and end < len(tokens) and tokens[end].startswith("⟨"):
            end += 1
        if _is_open(tokens[first:end]):
            end = first + 1
        found.append((first, end))
        first = end
    return found


def joined(tokens: Sequence[str]) -> str:
    """Text of tokens in a row, the bytes of split characters put together.

    >>> joined(["Z", "⟨C3⟩", "⟨BC⟩", "rich"])
    'Zürich'
    """
    if "⟨" not in (text := "".join(tokens)):  # nearly always, and in a fraction of the time
        return text
    return "".join(_together(tokens[first:end]) for first, end in spans(tokens))


def replaced(text: str) -> str:
    """A token's text as decoders give it, its bytes replaced: what other tools expect.

    >>> replaced("⟨C3⟩"), replaced("r")
    ('\\ufffd', 'r')
    """
    return _RUN.sub(lambda run: _bytes(run).decode("utf-8", "replace"), text)


def _bytes(run: re.Match[str]) -> bytes:
    return bytes.fromhex(run[0].replace("⟩⟨", "").strip("⟨⟩"))


def _is_open(tokens: Sequence[str]) -> bool:
    """Whether some bytes of these tokens make up no whole character."""
    return _RUN.search(_together(tokens)) is not None


def _together(tokens: Sequence[str]) -> str:
    # Where no token holds bytes, what reads like some is text: "⟨", "C3", "⟩".
    if not any(_RUN.search(token) for token in tokens):
        return "".join(tokens)
    return _RUN.sub(lambda run: spelled(_bytes(run)), "".join(tokens))
