"""``vocabulary.json``: the text of every token id of a model, each decoded by itself."""

import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter

from store.base.atomic import write_text
from store.base.hashing import digest
from store.documents.reading import read_document


def token_text(texts: Sequence[str], token: int) -> str:
    """Text of a token id; one that has none is shown by its number.

    Parameters
    ----------
    texts
        Text of every token id, as `read_token_texts` gives them.
    token
        A token id. None has those beyond the vocabulary, and rows of the model's embedding that
        only pad it.

    >>> token_text([" the", ""], 0), token_text([" the", ""], 1), token_text([" the", ""], 9)
    (' the', '#1', '#9')
    """
    text = texts[token] if 0 <= token < len(texts) else ""
    return text or f"#{token}"


def write_token_texts(path: Path, texts: Sequence[str]) -> None:
    """Write ``vocabulary.json`` atomically, a line a token id."""
    write_text(path, json.dumps(list(texts), ensure_ascii=False, indent=0) + "\n")


def read_token_texts(path: Path) -> list[str]:
    """Read ``vocabulary.json``: text by token id.

    Raises
    ------
    ArtifactMissingError
        There is no such file.
    DamagedArtifactError
        It is not a list of texts.
    """
    return read_document(path, TypeAdapter(list[str]))


def tokenizer_fingerprint(texts: Sequence[str]) -> str:
    """What tells a tokenizer from another: a digest of the text of every token id."""
    return digest(list(texts))[:16]
