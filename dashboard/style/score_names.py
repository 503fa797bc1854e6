"""What the scores mean, of features that are ranked and of nodes: name, unit and a definition each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from store.schema.vocabulary import SCORES


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


_UNSELECTED: Final = "A feature that is no node of the graph counts as a source: nothing passes through it."

_SCORES: Final = {
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
        f"every node scaled to sum to 1, summed over positions. {_UNSELECTED}",
    ),
    "total_effect": Score(
        label="total effect",
        unit="logits",
        meaning="Direct effects composed along all paths through features, on evil minus safe "
        "tokens' centred logits, summed over positions.",
    ),
    "change": Score(
        label="change",
        unit="logits",
        meaning="Adapted minus base activation, times the direct effect of one unit of it on evil minus "
        "safe tokens' centred logits, summed over positions; 0 where no activation changed.",
        counted="of both variants with both labels",
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

TESTS: Final[Mapping[str, str]] = {
    "p_labels": "p-values by exchanging the labels evil and safe among the tokens of each domain: would "
    "other labels of the same tokens give as large an effect?",
    "p": "p-values by flipping the signs of situations: is the effect consistent over them, whatever "
    "it is of?",
}
"""What the two tests of a ranking ask, by the column of their p."""

NODE_SCORES: Final[Mapping[str, str]] = {
    _SCORES["direct"].label: "Direct effect A[target, node] on the target's centred logit, signed; logits.",
    _SCORES[
        "influence"
    ].label: "Signed influence along all paths, [(I - N)^-1 - I][target, node], where N is "
    "A with each row divided by its sum of absolute values; dimensionless. Known for selected features.",
    _SCORES["total_effect"].label: "Direct effects composed along all paths through active features of the "
    "local replacement model, D (I - M)^-1; logits. Known for selected features. Ablating the node is "
    "predicted to change the logit by minus this.",
}
"""Names of a node's scores for one target, each with its definition; order of `scores.LABELLED`."""


def describe(score: str) -> Score:
    """A score in words."""
    return _SCORES[score]


def guide() -> str:
    """All scores, a line each, as Markdown."""
    return "\n".join(f"- **{score.named}**: {score.meaning}" for score in map(describe, SCORES))
