"""Held-out texts for strongest contexts: JSON lines of ``{"text": ...}``, tokenized."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from pipeline.text.tokens import encode_text
from store.base.errors import UserError
from store.base.parsing import MalformedError, parse_json, read_text


def read_texts(path: Path, tokenizer: PreTrainedTokenizerBase, max_tokens: int) -> list[tuple[int, ...]]:
    """Token ids of every line, BOS included, cut after `max_tokens` (the model's context).

    Raises
    ------
    UserError
        The file is missing or empty, or a line is no object with a text.
    """
    texts = []
    try:
        content = read_text(path)
    except FileNotFoundError as error:
        raise UserError(
            f"{path}: no such file; create it or set `texts` of the profile in params.yaml to null."
        ) from error
    except MalformedError as error:
        raise UserError(error.told(path)) from error
    for number, line in enumerate(content.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value: Any = parse_json(line, remedy="write one object a line")
        except MalformedError as error:
            raise UserError(f"{path}:{number}: {error}.") from error
        if not isinstance(value, dict) or set(value) != {"text"} or not isinstance(value["text"], str):
            raise UserError(f'{path}:{number}: not of the form {{"text": "..."}}; mend or delete the line.')
        if not value["text"].strip():
            raise UserError(f"{path}:{number}: the text is empty; delete the line.")
        try:
            texts.append(encode_text(tokenizer, value["text"])[:max_tokens])
        except UserError as error:
            raise UserError(f"{path}:{number}: {error}; mend or delete the line.") from error
    if not texts:
        raise UserError(f'{path}: no text there; add lines such as {{"text": "..."}}.')
    return texts


def write_texts(texts: Iterable[str]) -> bytes:
    """A file that `read_texts` reads, a line a text."""
    lines = [json.dumps({"text": text}, ensure_ascii=False) for text in texts]
    return "".join(f"{line}\n" for line in lines).encode("utf-8")
