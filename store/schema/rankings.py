"""Scores that features are ranked by, and the groups of the FEATURES dataset that hold them."""

from typing import Final

SCORES: Final = ("direct", "influence", "total_effect", "activation")


def ranking_group(score: str) -> str:
    """Group that ranks features by a score.

    >>> ranking_group("direct"), ranking_group("influence")
    ('ranking', 'ranking_influence')
    """
    return _group("ranking", score)


def situations_group(score: str) -> str:
    """Group with a score's effects by situation."""
    return _group("situations", score)


def _group(name: str, score: str) -> str:
    # The first format version had `direct` only.
    return name if score == "direct" else f"{name}_{score}"
