"""Continuations and outcomes out of items of any format version."""

from dataclasses import replace

import numpy as np
import pytest

from store import NotInStoreError
from store.collections.item import Item
from store.views.samples import continuations, outcomes

SAMPLES = Item(
    key="0" * 64,
    prompt_hash="0" * 12,
    variant="base",
    arrays={
        "sample_start": np.array([0, 2, 2], np.int32),
        "sample_token": np.array([5, 6, 7], np.int32),
    },
    scalars={},
)
CODES = {"sample_outcome": np.array([1, 3, 0], np.int8)}


def test_continuations_are_cut_where_they_start() -> None:
    assert continuations(SAMPLES) == [[5, 6], [], [7]]
    none = {name: array[:0] for name, array in SAMPLES.arrays.items()}
    assert continuations(replace(SAMPLES, arrays=none)) == []


def test_outcomes_by_name_from_both_layouts() -> None:
    expected = ["safe", "unlabelled", "harmful"]
    assert outcomes(replace(SAMPLES, arrays=CODES)) == expected
    assert outcomes(replace(SAMPLES, arrays={**SAMPLES.arrays, **CODES})) == expected
    with pytest.raises(NotInStoreError, match="prompt 000000000000, base tells no outcomes; take it from"):
        outcomes(SAMPLES)
