"""Sampled continuations of one prompt: token ids of each, and what each is."""

from store.base.errors import NotInStoreError
from store.collections.item import Item
from store.schema.vocabulary import OUTCOMES


def continuations(samples: Item) -> list[list[int]]:
    """Token ids of every continuation.

    Parameters
    ----------
    samples
        An item of the `samples` collection, of any format version.
    """
    tokens = samples.arrays["sample_token"].tolist()
    starts = samples.arrays["sample_start"].tolist()
    ends = [*starts[1:], len(tokens)][: len(starts)]
    return [tokens[start:end] for start, end in zip(starts, ends, strict=True)]


def outcomes(item: Item) -> list[str]:
    """What every continuation is, names of `store.schema.vocabulary.OUTCOMES`.

    Parameters
    ----------
    item
        An item of the `outcomes` collection, or one of `samples` of format version 1 or 2, where
        samples and outcomes were one.

    Raises
    ------
    NotInStoreError
        The item tells no outcomes.
    """
    if "sample_outcome" not in item.arrays:
        raise NotInStoreError(
            f"the item of prompt {item.prompt_hash}, {item.variant} tells no outcomes; take it from the "
            "`outcomes` collection."
        )
    return [OUTCOMES[code] for code in item.arrays["sample_outcome"].tolist()]
