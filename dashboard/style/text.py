"""How numbers and tokens are written: three significant digits, visible white space."""

import html
import math
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Final

from store.documents.split_characters import joined, spans

SPACE: Final = "·"
NEWLINE: Final = "↵"
TAB: Final = "⇥"
SHADE: Final = 0.45
"""Opacity of the colour behind a token of the largest weight: its text stays readable on either page."""
_THIN: Final = 0.75
"""Opacity of white space made visible."""
_VISIBLE: Final = {" ": SPACE, "\n": NEWLINE, "\t": TAB, "\r": "␍", "\u00a0": "⍽"}
_MARKDOWN: Final = frozenset("\\`*_{}[]()<>#+-.!|~$:&^=@\"'/")


def number(value: float, *, sign: bool = False) -> str:
    """A number with three significant digits; a dash where there is none.

    >>> number(0.123456), number(0.000694), number(12345678), number(-0.00001234)
    ('0.123', '0.000694', '12,300,000', '-1.23e-05')
    """
    if value is None or not math.isfinite(value):
        return "—"
    if value == 0:
        return "0"
    plus = "+" if sign and value > 0 else ""
    size = abs(value)
    if size < 1e-4 or size >= 1e9:
        return f"{plus}{value:.2e}"
    digits = 2 - math.floor(math.log10(size))
    rounded = round(value, digits)
    if rounded != 0 and math.floor(math.log10(abs(rounded))) > math.floor(math.log10(size)):
        digits -= 1
    return f"{plus}{rounded:,.{max(digits, 0)}f}"


def count(value: int) -> str:
    """A whole number, exact, with thousands separators."""
    return f"{int(value):,}"


def percent(share: float) -> str:
    """A share as a percentage with three significant digits at most."""
    if share is None or not math.isfinite(share):
        return "—"
    if share > 0.9995 and share < 1:
        return ">99.9%"
    return f"{float(f'{100 * share:.3g}'):g}%"


def interval(low: float, high: float, *, sign: bool = False) -> str:
    """An interval as ``[low, high]``; a dash where there is none."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return "—"
    return f"[{number(low, sign=sign)}, {number(high, sign=sign)}]"


def share_interval(low: float, high: float) -> str:
    """An interval of a share, as percentages; a dash where there is none."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return "—"
    return f"[{percent(low)}, {percent(high)}]"


def visible(token: str) -> str:
    """A token with its white space and control characters made visible.

    >>> visible(" open"), visible("a\\n")
    ('·open', 'a↵')
    """
    if token == "":
        return "∅"
    out = []
    for character in token:
        if character in _VISIBLE:
            out.append(_VISIBLE[character])
        elif unicodedata.category(character) in {"Cc", "Cf", "Zl", "Zp", "Cs"}:
            out.append(f"⟨{ord(character):02X}⟩")
        else:
            out.append(character)
    return "".join(out)


def shorten(text: str, length: int) -> str:
    """The first `length` characters, with an ellipsis where something was cut."""
    return text if len(text) <= length else text[: max(length - 1, 0)] + "…"


def plain(text: str) -> str:
    """Escape a text so that Markdown shows it exactly as it is, as one line."""
    line = " ".join(text.split())
    return "".join(f"\\{char}" if char in _MARKDOWN else char for char in line)


def sentence(text: str) -> str:
    """A message of this program as Markdown: commands in backticks stay code, the rest is plain.

    >>> sentence("a*b: `dvc repro` makes it")
    'a\\\\*b\\\\: `dvc repro` makes it'
    """
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return plain(text)
    out = []
    for index, part in enumerate(parts):
        lead = " " if part.startswith(" ") else ""
        trail = " " if part.strip() and part.endswith(" ") else ""
        out.append(f"`{part}`" if index % 2 else f"{lead}{plain(part)}{trail}")
    return "".join(out)


def feature_name(layer: int, feature: int) -> str:
    """``L2/618``: layer and index, both 0-based."""
    return f"L{layer}/{feature}"


def named(names: Mapping[tuple[int, int], str], feature: tuple[int, int]) -> str:
    """``L2/618 → gamble, bet``: layer and index, and the name where there is one."""
    name = names.get(feature, "")
    return f"{feature_name(*feature)} {name}" if name else feature_name(*feature)


def token_html(token: str) -> str:
    """A token as HTML: escaped, its white space as a faint mark."""
    out = []
    for character in token:
        shown = html.escape(visible(character))
        out.append(f'<span style="opacity:{_THIN}">{shown}</span>' if character in _VISIBLE else shown)
    return "".join(out) or f'<span style="opacity:{_THIN}">∅</span>'


def shaded_tokens(
    tokens: Sequence[str],
    weights: Sequence[float],
    *,
    maximum: float,
    colour: str,
    peak: int | None = None,
) -> str:
    """HTML of a line of tokens, each shaded by its weight; token text is escaped.

    Parameters
    ----------
    tokens, weights
        Decoded tokens and one weight each (activation; 0 is unshaded).
    maximum
        Weight of the full shade.
    colour
        ``#rrggbb``.
    peak
        Index of the token to underline.

    Notes
    -----
    Text goes through `token_html` and stands between tags only, never inside one;
    the only attribute values are numbers and the fixed colour.
    """
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    parts = []
    for index, (token, weight) in enumerate(zip(tokens, weights, strict=True)):
        alpha = 0.0 if maximum <= 0 else max(0.0, min(1.0, weight / maximum)) * SHADE
        style = f"background:rgba({red},{green},{blue},{alpha:.3f})"
        if index == peak:
            style += f";border-bottom:2px solid {colour}"
        parts.append(
            f'<span style="{style}" title="activation {number(weight)}">{token_html(token)}</span><wbr>'
        )
    return "".join(parts)


def token_chips(tokens: Sequence[str], *, marked: tuple[int, int] = (0, 0)) -> str:
    """HTML of a prompt as separate tokens, white space visible, text escaped.

    Tokens that share a character stand together: the character is in none of them alone. Those between the
    two positions of `marked`, the second excluded, are underlined.
    """
    chip = "padding:1px 2px;margin:0 1px;border-radius:3px;background:rgba(128,132,140,0.16)"
    parts = []
    for first, end in spans(tokens):
        text = joined(tokens[first:end])
        where = f"position {first}" if end == first + 1 else f"positions {first} to {end - 1}"
        mark = ";border-bottom:2px solid currentColor" if marked[0] <= first < marked[1] else ""
        parts.append(
            f'<span style="{chip}{mark}" title="{where}">{token_html(text)}</span>'
            + ("<br>" if text == "\n" else "<wbr>")
        )
    return "".join(parts)
