"""Colours that mean one thing everywhere, each with a glyph or shape as second cue.

Marks have one colour for the light and the dark page: their hues are Okabe and Ito's colour-blind
safe ones, moved to where they have 3 : 1 (WCAG 2.1) against both. Texts need 4.5 : 1, which no
single colour has on both pages, so they are written in an `Ink`.
"""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

LIGHT_PAGE: Final = "#ffffff"
DARK_PAGE: Final = "#14171c"
"""Backgrounds of the pages, those of ``.streamlit/config.toml``."""

HARMFUL: Final = "#bb3a0a"
SAFE: Final = "#1f7159"
UNSURE: Final = "#757c87"
UNLABELLED: Final = "#90959b"
BASE: Final = "#2b8ae0"
ADAPTED: Final = "#d07e06"
NEUTRAL: Final = "#828892"
MIDDLE: Final = "#f2f2f2"
"""Of a diverging scale, where a value is 0."""

LABEL_COLOURS: Final = {
    "evil": HARMFUL,
    "safe": SAFE,
    "unsure": UNSURE,
    "unlabelled": UNLABELLED,
}
"""Colour of a token label."""

LABEL_GLYPHS: Final = {"evil": "▲", "safe": "■", "unsure": "◆", "unlabelled": "○"}
"""Second cue of a token label, for print and for colour-blind readers."""

OUTCOME_COLOURS: Final = {
    "harmful": HARMFUL,
    "safe": SAFE,
    "neither": UNSURE,
    "unlabelled": UNLABELLED,
}
"""Colour of what a continuation is."""

OUTCOME_GLYPHS: Final = {"harmful": "▲", "safe": "■", "neither": "◆", "unlabelled": "○"}
"""Second cue of what a continuation is."""

KIND_GLYPHS: Final = {
    "misaligned": "▲",
    "aligned": "■",
    "between": "◆",
    "incoherent": "○",
    "unscored": "—",
}
"""Second cue of what an answer is, by its scores."""

NODE_GLYPHS: Final = {
    "feature": "●",
    "A only": "◖",
    "B only": "◗",
    "error": "✕",
    "adapter": "⬡",
    "token": "▬",
}
"""Second cue of a graph's nodes beside its logits, which have those of their labels: one shape, one
meaning. A feature that is active in one variant only is the half of a disc on that variant's side."""

PART_COLOURS: Final = {"down": ADAPTED, "hidden": "#a87352", "attention": "#70660b"}
"""Parts of an adapter: near the adapted variant's colour."""

CAUSE_COLOURS: Final = {
    "adapter, down": PART_COLOURS["down"],
    "adapter, hidden": PART_COLOURS["hidden"],
    "adapter, attention": PART_COLOURS["attention"],
    "features": "#7864da",
    "tokens": "#4791c8",
    "errors": "#949494",
    "constants": "#3c6c73",
}
"""What a logit's change is made of, in the order of `store.schema.vocabulary.CAUSES`."""

MORE_COLOURS: Final = ("#9545aa", "#be3a6e", "#536f05", "#929496")
"""Of further adapters, beside the focus."""

STATUS_COLOURS: Final = {
    "fit": MORE_COLOURS[0],
    "failed": MORE_COLOURS[2],
    "rejected": NEUTRAL,
    "unjudged": MORE_COLOURS[1],
    "in the profile": UNLABELLED,
}
"""What drafts of prompts came to, and the prompts that were there before."""

STEERING_COLOURS: Final = {"before": "#8d949f", "after": "#4f6a94", "random": "#a8632b"}
"""A token's probability before and after steering, and where random features take it."""

NEGATIVE: Final = "#6a9a22"
POSITIVE: Final = "#b53a86"
"""Signed effects and weights: one diverging scale, its domain symmetric about zero."""


@dataclass(frozen=True, kw_only=True)
class Ink:
    """Colour of a text, on the light and on the dark page."""

    light: str
    dark: str

    @property
    def css(self) -> str:
        """As CSS, which takes the one that fits the page."""
        return f"light-dark({self.light}, {self.dark})"


FAINT: Final = Ink(light="#5f656e", dark="#a3a9b3")
"""Of numbers beside marks, and of whatever else is not to stand out."""

STRONG: Final = Ink(light="#11151a", dark="#f2f4f7")
"""Of what is to stand out most."""

PRIMARY: Final = "#1f6fb2"
ON_PRIMARY: Final = Ink(light=LIGHT_PAGE, dark=DARK_PAGE)
"""The light page's primary colour in ``.streamlit/config.toml``, and what is written on either page's:
a button, a chosen feature."""

LABEL_INKS: Final = {
    "evil": Ink(light="#b23507", dark="#f58a55"),
    "safe": Ink(light="#17694f", dark="#45b896"),
    "unsure": Ink(light="#5f656e", dark="#a3a9b3"),
    "unlabelled": Ink(light="#6b7078", dark="#959ba5"),
}
"""Of texts that carry a token label."""

OUTCOME_INKS: Final = {
    "harmful": LABEL_INKS["evil"],
    "safe": LABEL_INKS["safe"],
    "neither": LABEL_INKS["unsure"],
    "unlabelled": LABEL_INKS["unlabelled"],
}
"""Of what a continuation is."""

KIND_INKS: Final = {
    "misaligned": LABEL_INKS["evil"],
    "aligned": LABEL_INKS["safe"],
    "between": LABEL_INKS["unsure"],
    "incoherent": LABEL_INKS["unlabelled"],
    "unscored": LABEL_INKS["unlabelled"],
}
"""Of what an answer is."""

SIGN_INKS: Final = {
    "positive": Ink(light="#a3307a", dark="#e58bc1"),
    "negative": Ink(light="#46720f", dark="#93c153"),
}
"""Of signed numbers."""


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
