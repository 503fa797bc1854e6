"""Tokens that a person picks or types on the Steering page, to be watched or continued from."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import streamlit as st

from dashboard.shell import forms
from dashboard.style.text import NEWLINE, SPACE, TAB, plain, shorten, visible
from store.documents.token_texts import token_text

_NAMED: Final = re.compile(r"(\d{1,7})( .*)?", re.DOTALL)
_WRITTEN: Final = str.maketrans({SPACE: " ", NEWLINE: "\n", TAB: "\t"})


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """The tokens that a model has.

    Attributes
    ----------
    texts
        By id; a model may have more tokens than have a text.
    size
        How many it has.
    """

    texts: Sequence[str]
    size: int

    def name(self, token: int) -> str:
        """A token as lists and links have it: its id, and its text."""
        return shorten(f"{token} {visible(token_text(self.texts, token))}", forms.MAX_NAME)

    def meant(self, text: str) -> int | None:
        """The token that a name or a typed text means; None where there is none.

        An id, with whatever name behind it; else the token of that text, as it stands or with its white
        space made visible; else the one that begins with a space.

        >>> tokens = Tokens(texts=["a", " open", "open", "7", " shut"], size=9)
        >>> [tokens.meant(text) for text in ("1 ·open", "·open", "open", "a", "8", "9", "7", "shut", "x")]
        [1, 1, 2, 0, 8, None, 7, 4, None]
        """
        if (match := _NAMED.fullmatch(text)) and int(match[1]) < self.size:
            return int(match[1])
        written = text.translate(_WRITTEN)
        known = (each for each in (written, f" {written}") if each in self.texts)
        return next((self.texts.index(each) for each in known), None)


def tokens_of(texts: Sequence[str], tokens: Tokens) -> list[int]:
    """The tokens that are meant, each once; of what is none a sentence is shown."""
    found: dict[int, None] = {}
    for text in texts:
        token = tokens.meant(text)
        if token is None:
            st.warning(
                plain(
                    f"“{shorten(text, 40)}” is no token of this model; write one as the chart shows it "
                    f"({SPACE} is a space), or its id."
                ),
                icon=":material/search_off:",
            )
        else:
            found[token] = None
    return list(found)
