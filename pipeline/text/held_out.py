"""Held-out texts for strongest contexts: JSON lines of ``{"text": ...}``, tokenized."""

import json
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from pipeline.text.tokens import encode_text
from store.base.errors import UserError


def read_texts(path: Path, tokenizer: PreTrainedTokenizerBase, max_tokens: int) -> list[tuple[int, ...]]:
    """Token ids of every line, BOS included, cut after `max_tokens` (the model's context).

    Raises
    ------
    UserError
        The file is missing or empty, or a line is no object with a text.
    """
    if not path.is_file():
        raise UserError(
            f"{path}: no such file; create it or set `texts` of the profile in params.yaml to null."
        )
    texts = []
    try:
        content = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 at byte {error.start}; save the file as UTF-8.") from error
    for number, line in enumerate(content.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value: Any = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(
                f"{path}:{number}: not JSON ({error.msg} at column {error.colno}); write one object a line."
            ) from error
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
