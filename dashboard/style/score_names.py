"""What the scores mean that features are ranked by: name, unit and one sentence each."""

from dataclasses import dataclass
from typing import Final

from store.schema.rankings import SCORES


@dataclass(frozen=True, kw_only=True)
class Score:
    """A score as people read it.

    Attributes
    ----------
    label
        Its name; it stands in links, too.
    unit
        Of its effects.
    meaning
        Its definition in one sentence.
    counted, left_out
        Which prompts count in a ranking by it, and which do not.
    """

    label: str
    unit: str
    meaning: str
    counted: str = "with both labels"
    left_out: str = "without were left out"

    def headed(self, title: str) -> str:
        """A heading with the unit, where there is one.

        >>> describe("direct").headed("effect"), describe("influence").headed("effect")
        ('effect (logits)', 'effect')
        """
        return title if self.unit == "dimensionless" else f"{title} ({self.unit})"

    @property
    def named(self) -> str:
        """Its name with the unit, once where they are the same word.

        >>> describe("influence").named, describe("activation").named
        ('influence (dimensionless)', 'activation')
        """
        return self.label if self.unit == self.label else f"{self.label} ({self.unit})"


_SELECTED: Final = "Missing, not 0, where the feature is active but not a node of the graph."

_WORDS: Final = {
    "direct": Score(
        label="direct",
        unit="logits",
        meaning="Effect through no other feature on evil minus safe tokens' centred logits, summed "
        "over positions.",
    ),
    "influence": Score(
        label="influence",
        unit="dimensionless",
        meaning="Signed influence along all paths on evil minus safe tokens, the absolute inputs of "
        f"every node scaled to sum to 1, summed over positions. {_SELECTED}",
    ),
    "total_effect": Score(
        label="total effect",
        unit="logits",
        meaning="Direct effects composed along all paths through features, on evil minus safe "
        f"tokens' centred logits, summed over positions. {_SELECTED}",
    ),
    "activation": Score(
        label="activation",
        unit="activation",
        meaning="Activation in the adapted model minus in the base, summed over the prompt's "
        "positions; needs no labels.",
        counted="of both variants",
        left_out="of one only were left out",
    ),
}


def describe(score: str) -> Score:
    """A score in words."""
    return _WORDS[score]


def guide() -> str:
    """All scores, a line each, as Markdown."""
    return "\n".join(f"- **{words.named}**: {words.meaning}" for words in map(describe, SCORES))
