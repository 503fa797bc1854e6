"""What the pipeline computes and the store keeps: one item a prompt, variant and setting."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

Scalar = int | float | str | bool

UNSTEERED: Final = ""
"""The setting of an item for which nothing was done to the model."""


class Identity(NamedTuple):
    """What tells an item from all others of its collection; sorts as the index does.

    Attributes
    ----------
    prompt_hash
        For which prompt.
    variant
        Which weights.
    setting
        What was done to the model while it ran: nothing, `UNSTEERED`, or the digest of a recipe.
    """

    prompt_hash: str
    variant: str
    setting: str = UNSTEERED


@dataclass(frozen=True, kw_only=True)
class Item:
    """The result for one prompt, one variant and one setting, as plain arrays.

    Attributes
    ----------
    key
        Content key: 64 hex digits over everything that determines the item.
    prompt_hash, variant, setting
        What it belongs to, see `Identity`; unique together within a collection.
    arrays
        Arrays by name, with the dims and dtypes of the collection's schema.
    scalars
        Single numbers and words by name, as the schema lists them.
    """

    key: str
    prompt_hash: str
    variant: str
    arrays: Mapping[str, np.ndarray]
    scalars: Mapping[str, Scalar]
    setting: str = UNSTEERED

    @property
    def identity(self) -> Identity:
        """What tells it from the others of its collection."""
        return Identity(self.prompt_hash, self.variant, self.setting)
