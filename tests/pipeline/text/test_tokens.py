"""Tokens that hold a part of a character read as bytes; every other one as before."""

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from pipeline.text.token_bytes import token_bytes
from pipeline.text.token_texts import decode_each
from pipeline.text.tokens import encode_text
from store.documents.split_characters import joined

TEXT = "Zürich 😀"


def byte_level() -> PreTrainedTokenizerFast:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: i for i, letter in enumerate(letters)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def byte_fallback() -> PreTrainedTokenizerFast:
    pieces = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), *"Zrich▁"]
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>", byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


@pytest.mark.parametrize("make", [byte_level, byte_fallback])
def test_a_split_character_reads_as_its_bytes(make: object) -> None:
    tokenizer = make()  # type: ignore[operator]
    texts = decode_each(tokenizer, encode_text(tokenizer, TEXT))
    expected = ["Z", "⟨C3⟩", "⟨BC⟩", "r", "i", "c", "h", " ", "⟨F0⟩", "⟨9F⟩", "⟨98⟩", "⟨80⟩"]
    assert list(texts) == expected
    assert joined(texts) == TEXT


def test_bytes_of_a_token() -> None:
    assert token_bytes("<0xC3>") == b"\xc3"
    assert token_bytes("ĠÃ") == b" \xc3"
    assert token_bytes("漢") is None
