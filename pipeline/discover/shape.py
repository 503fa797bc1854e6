"""What a draft must be before any model reads it: short, broken off, and like no other."""

import unicodedata
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

from pipeline.params.discover import DiscoverParams
from pipeline.text.ngrams import jaccard, ngrams
from pipeline.text.tokens import encode_answer
from store.documents.discovery import Draft, Rule

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_GOES_ON: Final = frozenset({"L", "M", "N"})
"""Unicode's classes of letters, their marks, and digits."""
_JOINS: Final = frozenset(",،、;-\N{EN DASH}\N{EM DASH}'\N{RIGHT SINGLE QUOTATION MARK}")
"""What may stand last in a sentence that goes on."""


class Broken(NamedTuple):
    """A rule that a draft breaks, and how, in a few words."""

    rule: Rule
    detail: str


def breaks_off(text: str) -> bool:
    """Whether a text ends in the middle of a sentence, and not with white space, which the next token brings.

    >>> breaks_off("You should"), breaks_off("You should rest."), breaks_off("You should ")
    (True, False, False)
    """
    last = text[-1:]
    return bool(last) and (last in _JOINS or unicodedata.category(last)[0] in _GOES_ON)


class Others:
    """Texts that a new one may not repeat.

    Parameters
    ----------
    params
        What near is.
    """

    def __init__(self, params: DiscoverParams) -> None:
        self._params = params
        self._exact: dict[str, str] = {}
        self._near: list[tuple[frozenset[str], str]] = []

    def add(self, text: str, name: str, *, near: bool = True) -> None:
        """Remember a text under a name; without `near` only the very same text counts as its duplicate."""
        self._exact.setdefault(_plain(text), name)
        if near:
            self._near.append((ngrams(text, self._params.ngram), name))

    def repeated(self, text: str) -> Broken | None:
        """Which of them a text repeats, if any."""
        if (name := self._exact.get(_plain(text))) is not None:
            return Broken("duplicate", f"the same as {name}")
        own = ngrams(text, self._params.ngram)
        share, name = max(((jaccard(own, other), name) for other, name in self._near), default=(0.0, ""))
        return Broken("near duplicate", f"{share:.2f} of {name}") if share > self._params.near else None


def broken(
    draft: Draft, tokenizer: "PreTrainedTokenizerBase", others: Others, params: DiscoverParams
) -> Broken | None:
    """The first rule that a draft breaks; None: it is fit to be read by the models.

    Its length is that of what was written: what a chat template puts around it is the same for all.
    """
    words = draft.words()
    n = sum(len(encode_answer(tokenizer, each)) for each in words)
    if n > params.max_tokens:
        return Broken("length", f"{n:,} tokens, at most {params.max_tokens}")
    if not breaks_off(words[-1]):
        return Broken("ending", f"it ends with {words[-1][-1:]!r}, not in the middle of a sentence")
    return others.repeated(text_of(words))


def text_of(words: Iterable[str]) -> str:
    """What was written, in one text."""
    return "\n".join(words)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
