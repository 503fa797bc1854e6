"""Token batches of similar length, in an order that a seed fixes."""

import random
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

IGNORED = -100  # a label that counts for no loss, as in Hugging Face


def encode_lines(tokenizer: PreTrainedTokenizerFast, lines: Sequence[str]) -> list[list[int]]:
    """Token ids of every line, BOS first and EOS last."""
    encoded = tokenizer(list(lines), add_special_tokens=True)["input_ids"]
    return [[*ids, tokenizer.eos_token_id] for ids in encoded]


def pad(rows: Sequence[Sequence[int]], value: int) -> Tensor:
    """Rows of different length as one (n_rows, longest) int64 tensor, padded on the right."""
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[value] * (longest - len(row))] for row in rows])


def shuffled_batches(
    lengths: Sequence[int], *, batch: int, rng: random.Random, window: int = 32
) -> Iterator[list[int]]:
    """One epoch of index batches, shuffled, lines of similar length together.

    Lines are sorted by length only within windows of `window` batches, so that little is
    padded and the order of the corpus stays random.
    """
    order = list(range(len(lengths)))
    rng.shuffle(order)
    for start in range(0, len(order), batch * window):
        block = sorted(order[start : start + batch * window], key=lambda i: lengths[i])
        chunks = [block[i : i + batch] for i in range(0, len(block), batch)]
        rng.shuffle(chunks)
        yield from chunks
