"""Sampled continuations of one prompt, and what each of them is."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipeline.text.lexicon import Outcome, classify
from pipeline.text.tokens import decode_after, stop_ids
from store.base.hashing import digest
from store.collections.item import Item
from store.documents.prompts import Prompt
from store.schema.vocabulary import OUTCOMES


@torch.inference_mode()
def sample_item(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompt: Prompt,
    lexicon: dict[str, Any],
    *,
    samples: int,
    max_new_tokens: int,
    temperature: float,
    seed: int,
    key: str,
    variant: str,
) -> Item:
    """Sample continuations of one prompt in one batch, and tell what each is.

    Sampled from the whole distribution (no top-k, no nucleus). Reproducible: the seed is
    made of `seed` and the prompt, so variants are sampled with the same random numbers,
    and neither the global generator nor other items matter.

    Returns
    -------
    Item
        Of the SAMPLES collection; a continuation ends before the end-of-text token.
    """
    stops = stop_ids(tokenizer, model)
    prompt_ids = torch.tensor([prompt.token_ids], device=model.device)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else stops[0]
    devices = [model.device] if model.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(int(digest([seed, prompt.hash])[:15], 16))
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
    outcomes = [_outcome(tokenizer, prompt, ids, lexicon) for ids in continuations]
    start = np.cumsum([0, *(len(ids) for ids in continuations[:-1])])
    return Item(
        key=key,
        prompt_hash=prompt.hash,
        variant=variant,
        arrays={
            "sample_outcome": np.array([OUTCOMES.index(outcome) for outcome in outcomes], np.int8),
            "sample_start": start.astype(np.int32),
            "sample_token": np.array([token for ids in continuations for token in ids], np.int32),
        },
        scalars={},
    )


def _until(ids: list[int], stops: Sequence[int]) -> list[int]:
    end = next((place for place, token in enumerate(ids) if token in stops), len(ids))
    return ids[:end]


def _outcome(
    tokenizer: PreTrainedTokenizerBase, prompt: Prompt, ids: list[int], lexicon: dict[str, Any]
) -> Outcome | Literal["unlabelled"]:
    domain = lexicon["domains"].get(prompt.domain)
    if domain is None:
        return "unlabelled"
    return classify(decode_after(tokenizer, prompt.token_ids, ids), domain["phrases"])
