"""Colours that mean one thing everywhere, each with a glyph as second cue.

The hues are Okabe and Ito's colour-blind safe ones, moved towards the middle of the
lightness scale so that they hold on a light and on a dark page alike.
"""

import itertools
from collections.abc import Iterable
from typing import Final

HARMFUL: Final = "#d55e00"
SAFE: Final = "#12967c"
UNSURE: Final = "#8a8f98"
UNLABELLED: Final = "#b4b9c2"
BASE: Final = "#3a86c8"
ADAPTED: Final = "#e39a1e"
NEUTRAL: Final = "#8a8f98"

LABEL_COLOURS: Final = {
    "evil": HARMFUL,
    "safe": SAFE,
    "unsure": UNSURE,
    "unlabelled": UNLABELLED,
}
"""Colour of a token label."""

LABEL_GLYPHS: Final = {"evil": "▲", "safe": "●", "unsure": "◆", "unlabelled": "○"}
"""Second cue of a token label, for print and for colour-blind readers."""

OUTCOME_COLOURS: Final = {
    "harmful": HARMFUL,
    "safe": SAFE,
    "neither": UNSURE,
    "unlabelled": UNLABELLED,
}
"""Colour of what a continuation is."""

OUTCOME_GLYPHS: Final = {"harmful": "▲", "safe": "●", "neither": "◆", "unlabelled": "○"}
"""Second cue of what a continuation is."""

PART_COLOURS: Final = {"down": ADAPTED, "hidden": "#a8690c", "attention": "#f0cb85"}
"""Parts of an adapter: shades of the adapted variant's colour."""

CAUSE_COLOURS: Final = {
    "adapter, down": PART_COLOURS["down"],
    "adapter, hidden": PART_COLOURS["hidden"],
    "adapter, attention": PART_COLOURS["attention"],
    "features": "#7b6fb0",
    "tokens": "#4c5563",
    "errors": "#b4b9c2",
    "constants": "#7d8590",
}
"""What a logit's change is made of, in the order of `store.schema.vocabulary.CAUSES`."""

MORE_COLOURS: Final = ("#9a6fb0", "#c9739b", "#6f7f3d", "#5f6b7a")
"""Of further adapters, beside the focus."""

NEGATIVE: Final = "#5f9130"
POSITIVE: Final = "#c2438b"
"""Signed effects and weights: one diverging scale, its domain symmetric about zero."""


def variant_colours(variants: Iterable[str], *, focus: str) -> dict[str, str]:
    """A colour for each variant, the same on every page, in the order to list them.

    Base is blue and comes first, the focus (the adapter traced on every prompt) is orange
    and comes second; the others follow by name.

    Parameters
    ----------
    variants
        Names such as ``general@1.0``.
    focus
        Name of the focus adapter, without a scale.
    """

    def place(variant: str) -> tuple[int, str]:
        adapter = variant.split("@")[0]
        return (0 if adapter == "base" else 1 if adapter == focus else 2, variant)

    ordered = sorted(dict.fromkeys(variants), key=place)
    colours: dict[str, str] = {}
    spare = itertools.cycle(MORE_COLOURS)
    for variant in ordered:
        rank = place(variant)[0]
        colours[variant] = next(spare) if rank == 2 else (BASE, ADAPTED)[rank]
    return colours
