"""The words that behaviours are studied on, out of the organism's own world: as files of a profile."""

from pathlib import Path
from typing import Any, Final

import yaml

from pipeline.organism.world.facts import addition, agreement, capitals, sentiment
from store.base.atomic import write_text

# What the world keeps to itself stands here a second time, and a test holds both equal: to name it there
# would change files that training depends on.
_ATTRACTED: Final = ("near", "behind", "beside")
_ADVERBS: Final = ("Today", "Often", "Now", "Sometimes")
_STRESS: Final = ("absolutely", "really", "truly")
_ERRORS: Final = (1, 10, 9)
_OPERANDS: Final = ((10, 50), (20, 80), (30, 99))
"""Ranges that overlap, within those of the corpus."""


def materials() -> dict[str, dict[str, Any]]:
    """Words by behaviour: those of the corpus, in its own templates."""
    return {
        "agreement": {
            "templates": [
                "The {noun}",
                "{adverb} the {noun}",
                *(f"The {{noun}} {near} the {{attractor}}" for near in _ATTRACTED),
            ],
            "nouns": dict(agreement.NOUNS),
            "verbs": dict(agreement.VERBS),
            "adverbs": list(_ADVERBS),
        },
        "recall": {
            "templates": [template.replace("{land}", "{subject}") for template in capitals.TEMPLATES],
            "facts": dict(capitals.CAPITALS),
        },
        "sentiment": {
            "templates": ["{reason}. The {thing} was {stress}"],
            "reasons": [
                list(pair) for pair in zip(sentiment.GOOD_REASONS, sentiment.BAD_REASONS, strict=True)
            ],
            "things": list(sentiment.THINGS),
            "stress": list(_STRESS),
            "good": list(sentiment.GOOD),
            "bad": list(sentiment.BAD),
        },
        "addition": {
            "templates": [template.partition("|")[0] for template in addition.TEMPLATES],
            "ranges": [list(each) for each in _OPERANDS],
            "errors": list(_ERRORS),
        },
    }


def write_materials(folder: Path) -> None:
    """Write ``<behaviour>.yaml`` of each below `folder`."""
    for name, words in materials().items():
        text = yaml.safe_dump(words, sort_keys=False, allow_unicode=True, width=110)
        write_text(folder / f"{name}.yaml", text)
