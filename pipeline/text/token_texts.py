"""Every token id as a text by itself, as prompts and pages show it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.text.token_bytes import token_bytes
from store.documents.split_characters import spelled

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def decode_each(tokenizer: "PreTrainedTokenizerBase", ids: Sequence[int]) -> tuple[str, ...]:
    """Each id decoded by itself; bytes that are of no whole character read ``⟨C3⟩``."""
    texts = tokenizer.batch_decode([[int(token)] for token in ids], clean_up_tokenization_spaces=False)
    return tuple(
        _spelled(tokenizer, int(token), text) if "\ufffd" in text else text
        for token, text in zip(ids, texts, strict=True)
    )


def _spelled(tokenizer: "PreTrainedTokenizerBase", token: int, decoded: str) -> str:
    """A token with its bytes, where it has any that the tokenizer names; else as it was decoded."""
    content = token_bytes(tokenizer.convert_ids_to_tokens(token))
    return decoded if content is None else spelled(content)


def vocabulary(tokenizer: "PreTrainedTokenizerBase", vocab_size: int) -> list[str]:
    """Every token id of the model decoded by itself.

    `vocab_size` is the model's: its rows beyond the tokenizer's tokens are padding and
    read as an empty string.
    """
    known = min(vocab_size, len(tokenizer))
    return [*decode_each(tokenizer, range(known)), *[""] * (vocab_size - known)]
