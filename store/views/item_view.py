"""What every typed view of an item has."""

import numpy as np

from store.base.errors import NotInStoreError
from store.collections.item import Item


class ItemView:
    """An item of one kind, whose arrays are handed out typed and in tables.

    Parameters
    ----------
    item
        An item.
    mark
        An array that only items of this kind have.
    otherwise
        What is said of an item without it.

    Raises
    ------
    NotInStoreError
        The item is of another kind.
    """

    def __init__(self, item: Item, *, mark: str, otherwise: str) -> None:
        if mark not in item.arrays:
            raise NotInStoreError(f"the item of prompt {item.prompt_hash}, {item.variant} {otherwise}")
        self.item = item

    @property
    def prompt_hash(self) -> str:
        """Prompt hash."""
        return self.item.prompt_hash

    @property
    def variant(self) -> str:
        """Variant."""
        return self.item.variant

    @property
    def token_ids(self) -> np.ndarray:
        """The prompt's token ids, BOS included; (n_positions,) int32."""
        return self.item.arrays["token"]
