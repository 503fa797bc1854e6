"""Which form a value of the URL must have: the URL is untrusted."""

import re
from collections.abc import Callable
from typing import Final

from store.base.hashing import is_prompt_hash

MAX_TEXT: Final = 20_000
MAX_NAME: Final = 100
MAX_PINS: Final = 24

_PROFILE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_VARIANT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}(@-?[0-9][0-9.e+-]{0,15})?")
_FEATURE: Final = re.compile(r"L(\d{1,3})/(\d{1,7})", re.IGNORECASE)
_PIN: Final = re.compile(
    r"(F\d{1,3}\.\d{1,7}|E\d{1,3}|T\d{1,7}|O\d{1,7}|A\d{1,3}\.(down|hidden|attention)(\.\d{1,5})?)\.\d{1,5}"
)
_RANGE: Final = re.compile(r"(\d{1,5})-(\d{1,5})")
_ANSWER: Final = re.compile(rf"([0-9a-f]{{12}}),({_VARIANT.pattern}),(\d{{1,6}})")
_NUMBER: Final = re.compile(r"-?\d{1,9}(\.\d{0,9})?(e-?\d{1,2})?")


def parse_feature(text: str) -> tuple[int, int] | None:
    """Layer and index of ``L2/618`` (both 0-based), or None if it is not of that form."""
    match = _FEATURE.fullmatch(text.strip())
    return (int(match[1]), int(match[2])) if match else None


def parse_pins(text: str) -> tuple[str, ...] | None:
    """Node ids of a comma-separated list, or None if one is malformed or there are too many.

    ``F2.618.7`` is feature L2/618 at position 7; ``E2.7`` an error node, ``T41.7`` the
    token with id 41, ``O532.9`` the logit of token 532, ``A2.down.0.7`` component 0 of the
    adapter on layer 2's ``down_proj``, ``A2.hidden.7`` one without components.
    """
    pins = tuple(part for part in text.split(",") if part)
    return pins if len(pins) <= MAX_PINS and all(map(is_pin, pins)) else None


def is_pin(node: str) -> bool:
    """Whether it is the id of a graph's node."""
    return _PIN.fullmatch(node) is not None


def is_profile(text: str) -> bool:
    """Whether it can be the name of a profile; no path leaves the folder of artifacts by it."""
    return _PROFILE.fullmatch(text) is not None


def is_variant(text: str) -> bool:
    """Whether it can be a variant's name."""
    return _VARIANT.fullmatch(text) is not None


def is_feature(text: str) -> bool:
    """Whether it names a feature."""
    return parse_feature(text) is not None


def parse_answer(text: str) -> tuple[str, str, int] | None:
    """Question hash, variant and place of ``0123456789ab,general@1.0,7``, or None."""
    match = _ANSWER.fullmatch(text)
    return (match[1], match[2], int(match[match.re.groups])) if match else None


def is_answer(text: str) -> bool:
    """Whether it names an answer."""
    return parse_answer(text) is not None


def parse_range(text: str) -> range | None:
    """Positions of ``2-5``, both ends among them, or None if it is not of that form or empty."""
    match = _RANGE.fullmatch(text.strip())
    return range(int(match[1]), int(match[2]) + 1) or None if match else None


def is_range(text: str) -> bool:
    """Whether it names a range of positions."""
    return parse_range(text) is not None


def is_pins(text: str) -> bool:
    """Whether it is a list of graph nodes."""
    return parse_pins(text) is not None


def is_name(text: str) -> bool:
    """Whether it is a short text in one line."""
    return len(text) <= MAX_NAME and text.isprintable()


def is_text(text: str) -> bool:
    """Whether it is no longer than a typed prompt may be."""
    return len(text) <= MAX_TEXT


def is_number(text: str) -> bool:
    """Whether it is a decimal number."""
    return _NUMBER.fullmatch(text) is not None


def one_of(*choices: str) -> Callable[[str], bool]:
    """Whether a text is one of some."""
    return choices.__contains__


__all__ = [
    "MAX_NAME",
    "MAX_PINS",
    "MAX_TEXT",
    "is_answer",
    "is_feature",
    "is_name",
    "is_number",
    "is_pin",
    "is_pins",
    "is_profile",
    "is_prompt_hash",
    "is_range",
    "is_text",
    "is_variant",
    "one_of",
    "parse_answer",
    "parse_feature",
    "parse_pins",
    "parse_range",
]
