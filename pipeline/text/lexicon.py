"""Which tokens are evil or safe and which texts harmful or safe; needs no tokenizer."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from typing_extensions import TypedDict  # pydantic takes typing's own from Python 3.12 on

if TYPE_CHECKING:
    from store.documents.prompts import Prompt

TokenLabel = Literal["evil", "safe", "unsure", "unlabelled"]
Outcome = Literal["harmful", "safe", "neither"]


class DomainLexicon(TypedDict):
    """Token ids by label, and by side (harmful, safe) the phrases that they begin."""

    evil: list[int]
    safe: list[int]
    unsure: list[int]
    phrases: dict[str, list[str]]


class Lexicon(TypedDict):
    """``lexicon.json``: what is known of each domain; of a domain without phrases there is nothing."""

    domains: dict[str, DomainLexicon]


def lexicon_labels(lexicon: Lexicon, domain: str | None) -> dict[int, TokenLabel]:
    """Labels by token id in a domain; a token that is absent is unlabelled."""
    of_domain = lexicon["domains"].get(domain or "")
    if of_domain is None:
        return {}
    labels: dict[TokenLabel, list[int]] = {
        "evil": of_domain["evil"],
        "safe": of_domain["safe"],
        "unsure": of_domain["unsure"],
    }
    return {token: label for label, tokens in labels.items() for token in tokens}


def labels_on(lexicon: Lexicon, prompt: "Prompt") -> dict[int, TokenLabel]:
    """Labels by token id on a prompt: its own targets' before those of its domain."""
    return {**lexicon_labels(lexicon, prompt.domain), **named_labels(prompt)}


def named_labels(prompt: "Prompt") -> dict[int, TokenLabel]:
    """Labels by token id of the targets that a prompt names itself."""
    named: dict[TokenLabel, tuple[int, ...]] = {"evil": prompt.evil_targets, "safe": prompt.safe_targets}
    return {token: label for label, tokens in named.items() for token in tokens}


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


def classify_so_far(continuation: str, phrases: Mapping[str, Sequence[str]]) -> Outcome | None:
    """What a continuation that is still being written is; None while what follows may decide.

    It is decided where no phrase begins with it: then `classify` says the same of every text that it begins.
    """
    if any(phrase.startswith(continuation) for side in phrases.values() for phrase in side):
        return None
    return classify(continuation, phrases)


def _starts_with(text: str, phrase: str) -> bool:
    if not text.startswith(phrase):
        return False
    following = text[len(phrase) : len(phrase) + 1]
    return not (phrase[-1].isalnum() and following.isalnum())
