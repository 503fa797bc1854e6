"""Answers to open questions, as token ids: sampled, or those that a file has."""

from collections.abc import Iterator, Sequence

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipeline.evaluation.answer_items import NOT_SAMPLED, Answer, answers_item
from pipeline.items.units import Unit
from pipeline.models.pool import ModelPool
from pipeline.models.sampling import draw_each, sample_tokens
from pipeline.text.tokens import stop_ids
from store.collections.item import Item
from store.schema.answers import ANSWERS


def compute_answers(models: ModelPool, unit: Unit) -> Iterator[tuple[str, Item]]:
    """Answers of a unit's one variant; its arguments are those of `sample_answers`."""
    (variant,) = unit.variants
    model = models.causal_lm(variant)
    answers = sample_answers(model, models.tokenizer, **unit.arguments)
    yield ANSWERS.kind, answers_item(unit.item(variant), answers, unit.arguments["seeds"])


def compute_imported(models: ModelPool, unit: Unit) -> Iterator[tuple[str, Item]]:
    """Answers of a unit's one variant that a file has: which wording each is to, and its token ids."""
    (variant,) = unit.variants
    answers = [
        Answer(token_ids=ids, paraphrase=wording, ended=True) for wording, ids in unit.arguments["answers"]
    ]
    seeds = [NOT_SAMPLED] * unit.arguments["wordings"]
    yield ANSWERS.kind, answers_item(unit.item(variant), answers, seeds)


@torch.inference_mode()
def sample_answers(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    *,
    prompts: Sequence[Sequence[int]],
    seeds: Sequence[int],
    samples: int,
    max_new_tokens: int,
    temperature: float,
    top_p: float,
    batch: int,
) -> list[Answer]:
    """Sample answers, wordings in turn: answer i is to wording i modulo their number.

    All wordings are one batch. Each answer draws with a generator of its own, whose seed is that of its
    wording plus how many of its answers came before: neither the global generator, nor other items, nor
    which answers are sampled beside it, nor how long they are matter.

    Parameters
    ----------
    model, tokenizer
        A variant, and what ends its texts.
    prompts, seeds
        Token ids and seed of each wording.
    samples
        How many answers.
    max_new_tokens
        Longer answers are cut.
    temperature, top_p
        As for `pipeline.models.sampling.draw_each`.
    batch
        At most so many rows at once.

    Returns
    -------
    list of Answer
        In the order of i.
    """
    stops = stop_ids(tokenizer, model)
    found: list[Answer] = []
    for done in range(0, samples, batch):
        rows = range(done, min(done + batch, samples))
        wordings = [row % len(prompts) for row in rows]
        own = [seeds[row % len(prompts)] + row // len(prompts) for row in rows]
        answers = sample_tokens(
            model,
            [prompts[wording] for wording in wordings],
            draw_each(own, temperature, top_p, steps=max_new_tokens),
            steps=max_new_tokens,
            stops=stops,
        )
        # A stop is a step, too: what is as long as can be had none.
        found += [
            Answer(token_ids=tokens, paraphrase=wording, ended=len(tokens) < max_new_tokens)
            for wording, tokens in zip(wordings, answers, strict=True)
        ]
    return found
