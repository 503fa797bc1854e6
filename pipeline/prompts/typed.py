"""A prompt that a person types, made exactly as one in a prompt file."""

import json
from typing import Final

from transformers import PreTrainedTokenizerBase

from pipeline.models.opening import require_opening
from pipeline.prompts.files import read_prompt_files
from store.base.errors import UserError
from store.documents.manifest import Manifest
from store.documents.prompts import Prompt

TYPED: Final = "The typed prompt"
"""`Prompt.source` of a prompt that stands in no file."""


def typed_prompt(
    text: str,
    *,
    domain: str | None,
    tokenizer: PreTrainedTokenizerBase,
    max_tokens: int,
    manifest: Manifest,
) -> Prompt:
    """Tokenize a typed text: the hash and ids that the prompts stage would give it.

    Parameters
    ----------
    text
        What the model continues; a BOS token is put in front.
    domain
        Which phrases of the lexicon tell evil from safe tokens, None for none.
    tokenizer, max_tokens
        As for `pipeline.prompts.files.read_prompt_files`.
    manifest
        Of the model.

    Raises
    ------
    UserError
        The text is empty, too short or too long, or no Unicode; or the model's prompts must be chats.
    """
    if not text.strip():
        raise UserError("The prompt is empty; type the text that the model is to continue.")
    line = json.dumps({"prompt": text, "domain": domain})
    found = read_prompt_files([], tokenizer, max_tokens, manifest.model.context, more=[(TYPED, line)])
    require_opening(manifest, found)
    return found[0]
