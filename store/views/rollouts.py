"""Continuations that begin with a forced token: token ids of each."""

from store.collections.item import Item


def rollouts(item: Item) -> list[list[list[int]]]:
    """Token ids of every continuation by forced token, in their order; the forced token comes first.

    Parameters
    ----------
    item
        Of the `rollouts` collection.
    """
    tokens, start = item.arrays["rollout_token"].tolist(), item.arrays["rollout_start"]
    ends = iter([*start.ravel().tolist()[1:], len(tokens)])
    forced = item.arrays["forced_token"].tolist()
    return [
        [[token, *tokens[begin : next(ends)]] for begin in of.tolist()]
        for token, of in zip(forced, start, strict=True)
    ]
