"""Continuations of a prompt that begin with tokens that are forced, one after the other."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipeline.items.units import ItemName, Unit
from pipeline.models.pool import ModelPool
from pipeline.models.sampling import draw_each, sample_tokens
from pipeline.text.tokens import stop_ids
from store.base.errors import PromptError
from store.base.hashing import digest
from store.collections.item import Item
from store.schema.rollouts import ROLLOUTS


def compute_rollouts(models: ModelPool, unit: Unit) -> Iterator[tuple[str, Item]]:
    """Continuations by each of a unit's variants; its arguments are those of `roll_out`."""
    for variant in unit.variants:
        model = models.causal_lm(variant)
        item = roll_out(model, models.tokenizer, unit.token_ids, unit.item(variant), **unit.arguments)
        yield ROLLOUTS.kind, item


def compute_forks(models: ModelPool, unit: Unit) -> Iterator[tuple[str, Item]]:
    """Continuations by the unit's last variant of the tokens that any of its variants takes for likely.

    Arguments: `least_probability` and `most`, of `likely_tokens`, and those of `roll_out` but `forced`.
    """
    how = dict(unit.arguments)
    likely = {name: how.pop(name) for name in ("least_probability", "most")}
    logs = [next_logs(models.causal_lm(variant), unit.token_ids) for variant in unit.variants]
    forced = likely_tokens([of.exp().numpy() for of in logs], **likely)
    variant = unit.variants[-1]
    model = models.causal_lm(variant)
    item = roll_out(model, models.tokenizer, unit.token_ids, unit.item(variant), forced=forced, **how)
    yield ROLLOUTS.kind, item


def likely_tokens(probabilities: Sequence[np.ndarray], *, least_probability: float, most: int) -> list[int]:
    """Tokens that have `least_probability` in any of some distributions, the `most` likeliest of them.

    The likeliest first; equals by their ids.
    """
    largest = np.max(probabilities, axis=0)
    order = np.argsort(-largest, kind="stable")[:most]
    return [int(token) for token in order if largest[token] >= least_probability]


@torch.inference_mode()
def next_logs(model: PreTrainedModel, token_ids: Sequence[int]) -> torch.Tensor:
    """Natural logs of the next token's probabilities, (vocabulary,) float32 on the CPU."""
    ids = torch.tensor([list(token_ids)], device=model.device)
    logits: torch.Tensor = model(input_ids=ids, logits_to_keep=1).logits[0, -1]
    return logits.float().log_softmax(-1).cpu()


@torch.inference_mode()
def roll_out(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    token_ids: Sequence[int],
    name: ItemName,
    *,
    forced: Sequence[int],
    samples: int,
    max_new_tokens: int,
    temperature: float,
    seed: int,
    batch: int,
) -> Item:
    """Force each token behind the prompt, and sample what follows.

    A continuation draws with a generator of its own, seeded by `seed`, the prompt, the forced token and how
    many came before: variants draw the same numbers, and those of two tokens are independent.

    Parameters
    ----------
    model, tokenizer
        A variant, and what ends its texts.
    token_ids
        The prompt.
    name
        What the item is called.
    forced
        Token ids; behind one that ends a text nothing is sampled.
    samples
        Continuations of each.
    max_new_tokens
        Behind the forced token; fewer where the model's context ends.
    temperature
        Of the whole distribution: no top-k, no nucleus.
    batch
        Continuations at once.

    Returns
    -------
    Item
        Of the `rollouts` collection.

    Raises
    ------
    PromptError
        The prompt leaves no room for a token.
    """
    room = model.config.max_position_embeddings - len(token_ids) - 1
    if room < 1:
        raise PromptError(
            f"prompt {name.prompt_hash} has {len(token_ids)} tokens and leaves no room for another two in "
            "the model's context; shorten it."
        )
    steps, stops = min(max_new_tokens, room), stop_ids(tokenizer, model)
    rows = [(token, number) for token in forced if token not in stops for number in range(samples)]
    found: dict[tuple[int, int], list[int]] = {}
    for done in range(0, len(rows), batch):
        chosen = rows[done : done + batch]
        seeds = [_seed(seed, token_ids, token) + number for token, number in chosen]
        prompts = [[*token_ids, token] for token, _ in chosen]
        draw = draw_each(seeds, temperature, 1.0, steps=steps)
        drawn = sample_tokens(model, prompts, draw, steps=steps, stops=stops)
        found |= dict(zip(chosen, drawn, strict=True))
    every = [found.get((token, number), []) for token in forced for number in range(samples)]
    starts = np.cumsum([0, *map(len, every)])[:-1].reshape(len(forced), samples)
    said = next_logs(model, token_ids)
    arrays = {
        "forced_token": np.array(forced, np.int32),
        "forced_log_probability": said[list(forced)].numpy().astype(np.float32),
        "rollout_start": starts.astype(np.int32),
        "rollout_token": np.array([token for ids in every for token in ids], np.int32),
    }
    return Item(key=name.key, prompt_hash=name.prompt_hash, variant=name.variant, arrays=arrays, scalars={})


def _seed(seed: int, token_ids: Sequence[int], token: int) -> int:
    return int(digest([seed, list(token_ids), token])[:15], 16)
