"""What the sampled continuations of one prompt are: harmful, safe or neither."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pipeline.items.code import code_base, root_of
from pipeline.text.lexicon import classify
from pipeline.text.tokens import decode_after
from store.base.hashing import digest
from store.collections.item import Item
from store.documents.prompts import Prompt
from store.schema.vocabulary import OUTCOMES
from store.views.samples import continuations

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def outcome_key(samples: str, phrases: Mapping[str, Sequence[str]] | None) -> str:
    """Content key of outcomes: the samples' key, with all that they depend on, phrases, code."""
    code = code_base().digest([root_of(outcome_item)])
    return digest({"samples": samples, "phrases": phrases, "code": code})


def outcome_item(
    samples: Item,
    prompt: Prompt,
    phrases: Mapping[str, Sequence[str]] | None,
    tokenizer: "PreTrainedTokenizerBase",
    *,
    key: str,
) -> Item:
    """Tell what each continuation is by the phrases that it starts with.

    Parameters
    ----------
    samples
        An item of the `samples` collection.
    prompt
        The prompt that was continued.
    phrases
        ``harmful`` and ``safe`` phrases of the prompt's domain; None: the domain has none, and
        every continuation is unlabelled, never safe.
    tokenizer
        The tokenizer of the model that was sampled.
    key
        Content key of the new item.

    Returns
    -------
    Item
        Of the `outcomes` collection, samples in their order.
    """
    outcomes = [
        "unlabelled" if phrases is None else classify(decode_after(tokenizer, prompt.token_ids, ids), phrases)
        for ids in continuations(samples)
    ]
    return Item(
        key=key,
        prompt_hash=samples.prompt_hash,
        variant=samples.variant,
        setting=samples.setting,
        arrays={"sample_outcome": np.array([OUTCOMES.index(outcome) for outcome in outcomes], np.int8)},
        scalars={},
    )
