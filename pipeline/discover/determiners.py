"""Tokens after which the word that decides is still to come."""

from collections.abc import Mapping, Sequence
from typing import Final

from store.documents.token_texts import token_text

DETERMINERS: Final = frozenset(
    (
        *("a", "an", "the", "this", "that", "these", "those", "my", "your", "his"),
        *("her", "its", "our", "their", "some", "any", "no", "each", "every", "either"),
        *("neither", "another", "such", "what", "which", "whose", "all", "both", "many", "much"),
        *("more", "most", "few", "several"),
    )
)
"""Of English."""


def determiner_mass(candidates: Mapping[int, float], texts: Sequence[str]) -> float:
    """Probability of the candidates that are determiners.

    Candidates are the likeliest tokens: those that are none have too little between them to matter.

    Parameters
    ----------
    candidates
        Probability by token id.
    texts
        Text of every token id.

    >>> determiner_mass({0: 0.5, 1: 0.25, 2: 0.25}, [" the", " The", " pills"])
    0.75
    """
    return sum(
        probability
        for token, probability in candidates.items()
        if token_text(texts, token).strip().casefold() in DETERMINERS
    )
