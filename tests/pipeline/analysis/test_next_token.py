"""Tables of the next token: sides, watched tokens and doses, each against counting by hand."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from scipy.stats import rankdata

from pipeline.analysis.next_token import (
    FEWEST,
    band,
    distribution_table,
    dose_table,
    most_probable,
    watched_table,
)


def test_the_variant_beside_has_rows_of_its_own_and_tokens_of_its_own() -> None:
    before, after, other = np.array([0.7, 0.2, 0.1]), np.array([0.1, 0.8, 0.1]), np.array([0.0, 0.0, 1.0])
    controls = np.tile(before, (FEWEST, 1))
    table = distribution_table(before, after, controls, 2, other)
    assert table["token"].to_list() == [2, 2, 2, 1, 1, 1]
    assert table["side"].to_list() == ["before", "other", "after"] * 2
    assert table["probability"].to_list() == [0.1, 1.0, 0.1, 0.2, 0.0, 0.8]
    assert table["low"].isna().to_list() == [True, True, False] * 2
    assert set(distribution_table(before, after, controls, 2)["side"]) == {"before", "after"}
    assert most_probable([before, after], 2) == [1, 0]


@given(
    logits=st.lists(
        st.lists(st.integers(-40, 40).map(lambda tenth: tenth / 10), min_size=6, max_size=6),
        min_size=3,
        max_size=3,
    )
)
def test_watched_tokens_are_as_scipy_has_them(logits: list[list[float]]) -> None:
    before, after, other = np.array(logits, np.float32)
    tokens = [4, 0]
    table = watched_table({"before": before, "after": after, "other": other}, tokens)
    assert table["token"].to_list() == tokens
    for side, of in (("before", before), ("after", after), ("other", other)):
        np.testing.assert_allclose(table[f"probability_{side}"], softmax(of)[tokens], rtol=1e-5)
        np.testing.assert_array_equal(table[f"rank_{side}"], rankdata(-of, "min")[tokens])
        np.testing.assert_allclose(table[f"logit_{side}"], (of - of.mean())[tokens], atol=1e-5)


def test_a_flip_is_of_the_centred_logit() -> None:
    before, after = np.array([3.0, 1.0, 1.0, 1.0]), np.array([6.0, 6.0, 9.0, 9.0])
    table = watched_table({"before": before, "after": after}, [0, 1, 2])
    # Raw logits keep their sign; token 0 goes from above the mean to below it.
    assert table["flip"].to_list() == [True, False, True]
    same = watched_table({"before": before, "after": before + 7}, [0, 1, 2])
    assert not same["flip"].any(), "a constant on all logits is nothing"


def test_doses_have_a_band_each() -> None:
    rng = np.random.default_rng(0)
    steered, controls = rng.random((3, 5)), rng.random((3, FEWEST, 5))
    table = dose_table([0.0, 1.0, 2.0], steered, controls, [1, 3])
    assert table["strength"].to_list() == [0.0, 1.0, 2.0]
    np.testing.assert_allclose(table["probability"], steered[:, 1] + steered[:, 3])
    for row, like in zip(table.itertuples(), controls, strict=True):
        assert (row.low, row.high) == pytest.approx(band(like[:, 1] + like[:, 3]))
    few = dose_table([0.0, 1.0, 2.0], steered, controls[:, :5], [1])
    assert few["low"].isna().all()
    assert pd.isna(few["high"]).all()
