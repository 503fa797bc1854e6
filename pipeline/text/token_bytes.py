"""The bytes of a token: tokenizers write them in an alphabet of their own."""

import re
from functools import cache
from typing import Final

_FALLBACK: Final = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def token_bytes(piece: str) -> bytes | None:
    """Bytes of a token as it stands in the tokenizer's vocabulary, None where it names none.

    Parameters
    ----------
    piece
        Of a byte-level tokenizer one letter a byte (GPT-2's alphabet: ``Ã`` is C3); of one that falls
        back to bytes ``<0xC3>``.
    """
    fallback = _FALLBACK.fullmatch(piece)
    if fallback:
        return bytes.fromhex(fallback[1])
    letters = _letters()
    return bytes(letters[letter] for letter in piece) if letters.keys() >= set(piece) else None


@cache
def _letters() -> dict[str, int]:
    from transformers.models.gpt2.tokenization_gpt2 import bytes_to_unicode

    return {letter: byte for byte, letter in bytes_to_unicode().items()}
