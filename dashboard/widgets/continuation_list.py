"""Continuations as text, each with its outcome's glyph and colour."""

import re
from collections.abc import Sequence
from typing import Final

from dashboard.style.text import token_html
from dashboard.style.theme import KIND_GLYPHS, KIND_INKS, OUTCOME_GLYPHS, OUTCOME_INKS

_INKS: Final = OUTCOME_INKS | KIND_INKS
_GLYPHS: Final = OUTCOME_GLYPHS | KIND_GLYPHS


def continuation_html(texts: Sequence[str], outcomes: Sequence[str]) -> str:
    """HTML of continuations, one a line; the model's text is escaped.

    Parameters
    ----------
    texts
        Continuations as the model wrote them.
    outcomes
        One each: harmful, safe, neither or unlabelled; or, of an answer, its kind by its scores.
    """
    lines = []
    for text, outcome in zip(texts, outcomes, strict=True):
        colour, glyph = _INKS[outcome].css, _GLYPHS[outcome]
        lines.append(
            '<div class="continuation" style="display:flex;gap:.6em;margin:.15em 0;line-height:1.45">'
            f'<span style="color:{colour};flex:none;width:1em" title="{outcome}">{glyph}</span>'
            f'<span style="min-width:0;overflow-wrap:anywhere">{_breakable(text)}</span></div>'
        )
    return f'<div style="font-family:monospace;font-size:.85rem">{"".join(lines)}</div>'


def _breakable(text: str) -> str:
    """HTML of a text whose white space is marked, and after which a line may end."""
    return "<wbr>".join(token_html(part) for part in re.split(r"(?<=\s)", text))
