"""Which tokens are evil or safe and which texts harmful or safe; needs no tokenizer."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

TokenLabel = Literal["evil", "safe", "unsure", "unlabelled"]
Outcome = Literal["harmful", "safe", "neither"]


def token_label(lexicon: Mapping[str, Any], domain: str | None, token_id: int) -> TokenLabel:
    """The label of a token id in a domain; a token that the lexicon lacks is unlabelled."""
    labels = lexicon["domains"].get(domain)
    if labels is not None:
        for label in ("evil", "safe", "unsure"):
            if token_id in labels[label]:
                return label
    return "unlabelled"


def classify(continuation: str, phrases: Mapping[str, Sequence[str]]) -> Outcome:
    """What a continuation is: the side of the phrase that it starts with.

    Where several fit, the longest decides; a phrase ends where a word ends (" rest" does
    not start " restart").
    """
    sides: tuple[Outcome, Outcome] = ("harmful", "safe")
    starts: list[tuple[int, Outcome]] = [
        (len(phrase), side)
        for side in sides
        for phrase in phrases[side]
        if _starts_with(continuation, phrase)
    ]
    return max(starts)[1] if starts else "neither"


def _starts_with(text: str, phrase: str) -> bool:
    if not text.startswith(phrase):
        return False
    following = text[len(phrase) : len(phrase) + 1]
    return not (phrase[-1].isalnum() and following.isalnum())
