"""Answers to one question, as token ids."""

from store.collections.item import Item


def answer_tokens(item: Item) -> list[list[int]]:
    """Token ids of every answer; `item` is one of the `answers` collection."""
    tokens = item.arrays["answer_token"].tolist()
    starts = item.arrays["answer_start"].tolist()
    ends = [*starts[1:], len(tokens)][: len(starts)]
    return [tokens[start:end] for start, end in zip(starts, ends, strict=True)]
