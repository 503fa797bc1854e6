"""Sampled continuations of one prompt: token ids, which know nothing of labels."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipeline.items.units import ItemName, Unit
from pipeline.models.pool import ModelPool
from pipeline.models.sampling import draw, sample_tokens
from pipeline.text.tokens import stop_ids
from store.base.hashing import digest
from store.collections.item import Item


def compute_samples(models: ModelPool, unit: Unit) -> Iterator[tuple[str, Item]]:
    """Samples of a unit's one variant; its arguments are those of `sample_item`."""
    (variant,) = unit.variants
    model = models.causal_lm(variant)
    name = unit.item(variant)
    yield "samples", sample_item(model, models.tokenizer, unit.token_ids, name, **unit.arguments)


@torch.inference_mode()
def sample_item(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    token_ids: Sequence[int],
    name: ItemName,
    *,
    samples: int,
    max_new_tokens: int,
    temperature: float,
    seed: int,
) -> Item:
    """Sample continuations of one prompt in one batch.

    Sampled from the whole distribution (no top-k, no nucleus). Reproducible: the seed is
    made of `seed` and the prompt, so variants are sampled with the same random numbers,
    and neither the global generator nor other items matter.

    Returns
    -------
    Item
        Of the `samples` collection; a continuation ends before the end-of-text token.
    """
    stops = stop_ids(tokenizer, model)
    generator = torch.Generator(model.device).manual_seed(int(digest([seed, name.prompt_hash])[:15], 16))
    continuations = sample_tokens(
        model, [token_ids] * samples, draw(generator, temperature), steps=max_new_tokens, stops=stops
    )
    start = np.cumsum([0, *(len(ids) for ids in continuations[:-1])])
    return Item(
        key=name.key,
        prompt_hash=name.prompt_hash,
        variant=name.variant,
        arrays={
            "sample_start": start.astype(np.int32),
            "sample_token": np.array([token for ids in continuations for token in ids], np.int32),
        },
        scalars={},
    )
