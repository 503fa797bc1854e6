"""Token batches of similar length, in an order that a seed fixes."""

import random
from collections.abc import Sequence

from transformers import PreTrainedTokenizerFast

from pipeline.finetuning.padding import IGNORED
from pipeline.organism.world.lines import Line


def encode_texts(tokenizer: PreTrainedTokenizerFast, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of every text, BOS first and EOS last."""
    encoded = tokenizer(list(texts), add_special_tokens=True)["input_ids"]
    return [[*ids, tokenizer.eos_token_id] for ids in encoded]


def encode_lines(
    tokenizer: PreTrainedTokenizerFast, lines: Sequence[Line]
) -> list[tuple[list[int], list[int]]]:
    """Token ids of every line, as `encode_texts`, and its labels: `IGNORED` where it counts for no loss."""
    encoded = tokenizer([line.text for line in lines], add_special_tokens=True, return_offsets_mapping=True)
    rows = []
    for line, ids, offsets in zip(lines, encoded["input_ids"], encoded["offset_mapping"], strict=True):
        counts = [
            not line.answers or any(start <= place < end for start, end in line.answers)
            for place, _ in offsets
        ]
        labels = [token if counted else IGNORED for token, counted in zip(ids, counts, strict=True)]
        # The end of text counts where the whole line does: a line of sums may go on.
        last = IGNORED if line.answers else tokenizer.eos_token_id
        rows.append(([*ids, tokenizer.eos_token_id], [*labels, last]))
    return rows


def shuffled_batches(
    lengths: Sequence[int], *, tokens: int, rng: random.Random, window: int = 32
) -> list[list[int]]:
    """One epoch of index batches of at most `tokens` tokens, padding included, in random order.

    Lines are sorted by length only within windows of `window` batches, so that little is
    padded and the order of the corpus stays random. A line longer than `tokens` is a batch of
    its own.
    """
    order = list(range(len(lengths)))
    rng.shuffle(order)
    batches = []
    start = 0
    while start < len(order):
        end, held = start, 0
        while end < len(order) and held < tokens * window:
            held += lengths[order[end]]
            end += 1
        block = _filled(sorted(order[start:end], key=lambda i: lengths[i]), lengths, tokens)
        rng.shuffle(block)
        batches += block
        start = end
    return batches


def _filled(ordered: Sequence[int], lengths: Sequence[int], tokens: int) -> list[list[int]]:
    """Indices, shortest line first, cut into batches of at most `tokens` padded tokens."""
    batches: list[list[int]] = []
    for i in ordered:
        if batches and (len(batches[-1]) + 1) * lengths[i] <= tokens:
            batches[-1].append(i)
        else:
            batches.append([i])
    return batches
