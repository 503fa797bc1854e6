"""What the pipeline computes and the store keeps: one item a prompt and variant."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

Scalar = int | float | str | bool


@dataclass(frozen=True, kw_only=True)
class Item:
    """The result for one prompt and one variant, as plain arrays.

    Attributes
    ----------
    key
        Content key: 64 hex digits over everything that determines the item.
    prompt_hash, variant
        What it belongs to; unique together within a collection.
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
