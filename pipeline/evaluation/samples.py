"""Sampled continuations of one prompt: token ids, which know nothing of labels."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipeline.items.units import ItemName, Unit
from pipeline.models.pool import ModelPool
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
    prompt_ids = torch.tensor([list(token_ids)], device=model.device)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else stops[0]
    devices = [model.device] if model.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(int(digest([seed, name.prompt_hash])[:15], 16))
        output = model.generate(
            prompt_ids,
            attention_mask=torch.ones_like(prompt_ids),
            do_sample=True,
            temperature=temperature,
            top_k=0,
            top_p=1.0,
            num_return_sequences=samples,
            max_new_tokens=max_new_tokens,
            eos_token_id=stops or None,
            pad_token_id=pad,
        )
    continuations = [_until(row, stops) for row in output[:, prompt_ids.shape[1] :].tolist()]
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


def _until(ids: list[int], stops: Sequence[int]) -> list[int]:
    end = next((place for place, token in enumerate(ids) if token in stops), len(ids))
    return ids[:end]
