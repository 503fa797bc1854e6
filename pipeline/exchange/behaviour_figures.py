"""What a variant can do, as a drawing for a paper: differences of a behaviour's prompts, as SVG."""

import math
from collections.abc import Sequence
from typing import Final
from xml.sax.saxutils import escape

_WIDTH, _HEIGHT, _MARGIN, _FOOT = 480, 240, 40, 36
_BINS: Final = 30
_SUCCEED, _NOT, _INK = "#0072b2", "#999999", "#222222"


def histogram(values: Sequence[float], *, success: float, title: str) -> str:
    """Bars of equal width over nats a token, with a line at the threshold, which no bar crosses.

    Parameters
    ----------
    values
        A prompt each, nats a token; finite.
    success
        A prompt succeeds above it.
    title
        In words.

    Returns
    -------
    str
        An SVG document.
    """
    low, high = min([*values, success]), max([*values, success])
    width = (high - low) / _BINS or 1.0
    # On the threshold is below it.
    counts: dict[int, int] = {}
    for value in values:
        place = math.ceil((value - success) / width) - 1
        counts[place] = counts.get(place, 0) + 1
    first, last = min([*counts, -1]), max([*counts, 0]) + 1
    across = (_WIDTH - 2 * _MARGIN) / (last - first)
    up = (_HEIGHT - _MARGIN - _FOOT) / max([*counts.values(), 1])
    ground = _HEIGHT - _FOOT

    def x(place: float) -> float:
        return round(_MARGIN + (place - first) * across, 2)

    bars = [
        f'<rect x="{x(place)}" y="{round(ground - n * up, 2)}" width="{round(across, 2)}" '
        f'height="{round(n * up, 2)}" fill="{_SUCCEED if place >= 0 else _NOT}" stroke="white">'
        f"<title>{n}: {success + place * width:.3g} to {success + (place + 1) * width:.3g}</title></rect>"
        for place, n in sorted(counts.items())
    ]
    ends = [
        f'<text x="{x(place)}" y="{ground + 14}" text-anchor="middle">{success + place * width:.3g}</text>'
        for place in (first, last)
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
            f'font-family="sans-serif" font-size="11" fill="{_INK}">',
            f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
            f'<text x="{_MARGIN}" y="20" font-size="13">{escape(title)}</text>',
            *bars,
            f'<line x1="{_MARGIN}" x2="{_WIDTH - _MARGIN}" y1="{ground}" y2="{ground}" stroke="{_INK}"/>',
            f'<line x1="{x(0)}" x2="{x(0)}" y1="{_MARGIN - 8}" y2="{ground}" stroke="{_INK}" '
            'stroke-dasharray="4 4"/>',
            f'<text x="{x(0)}" y="{ground + 14}" text-anchor="middle">{success:.3g}</text>',
            *ends,
            f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 6}" text-anchor="middle">nats a token, right minus wrong; '
            f"n = {len(values)}</text>",
            "</svg>\n",
        ]
    )
