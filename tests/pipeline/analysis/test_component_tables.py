"""Chances of cosines against simulation and another formula; random adapters find nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pipeline.analysis.component_tables import component_groups, cosine_p, null_cosine, summary
from pipeline.params.components import ComponentParams
from store.collections.item import Item
from store.format.validation import check_dataset
from store.schema.components import COMPONENTS

PARAMS = ComponentParams(strongest=2, level=0.05)


def unit(rng: np.random.Generator, *shape: int) -> np.ndarray:
    drawn = rng.normal(size=shape)
    return drawn / np.linalg.norm(drawn, axis=-1, keepdims=True)


@given(cosine=st.floats(-0.999, 0.999), width=st.integers(2, 4096))
def test_the_chance_is_that_of_a_correlation(cosine: float, width: int) -> None:
    # t = r sqrt(k) / sqrt(1 - r^2) has Student's distribution with k = d - 1 degrees of freedom.
    t = abs(cosine) * np.sqrt((width - 1) / (1 - cosine**2))
    assert cosine_p(np.array(cosine), width) == pytest.approx(
        2 * stats.t.sf(t, width - 1), rel=1e-6, abs=1e-300
    )


# In two dimensions the cosine of a rare chance is within rounding of 1.
@given(width=st.integers(3, 4096), rows=st.integers(1, 10**6), level=st.floats(0.001, 0.5))
def test_the_null_band_is_where_the_chance_is_the_level(width: int, rows: int, level: float) -> None:
    assert cosine_p(null_cosine(level, width, rows), width, rows) == pytest.approx(level, rel=1e-3)


def test_chances_of_the_ends() -> None:
    assert cosine_p(np.array([0.0, 1.0, -1.0]), 16, 100).tolist() == [1.0, 0.0, 0.0]


def test_the_closest_of_many_rows_is_as_close_as_told() -> None:
    rng = np.random.default_rng(0)
    rows, drawn = unit(rng, 500, 24), unit(rng, 4_000, 24)
    p = cosine_p(np.abs(drawn @ rows.T).max(1), 24, 500)
    for level in (0.01, 0.05, 0.1):
        share = (p <= level).mean()
        error = np.sqrt(level / len(p))
        assert 0.85 * level - 3 * error <= share <= level + 3 * error, "at most the level, and close to it"


def item_of(cosine: np.ndarray, *, width: int, rows: int, rank: np.ndarray | None = None) -> Item:
    """A match a component, each of a layer of its own."""
    n = len(cosine)
    zero = np.zeros(n)
    arrays = {
        **{
            name: np.zeros(n, dtype)
            for name, dtype in (("module", "int8"), ("layer", "int16"), ("index", "int32"))
        },
        **{name: zero for name in ("norm", "stream_norm", "read_norm")},
        "match_of": np.arange(n, dtype=np.int32),
        "match_side": np.zeros(n, np.int8),
        "match_layer": np.zeros(n, np.int16),
        "match_feature": np.arange(n, dtype=np.int32),
        "match_rank": np.zeros(n, np.int16) if rank is None else rank.astype(np.int16),
        "match_cosine": cosine.astype(np.float32),
        "match_dot": cosine.astype(np.float32),
        "match_rows": np.full(n, rows, np.int32),
    }
    return Item(key="0", prompt_hash="0", variant="x@1.0", arrays=arrays, scalars={"width": width})


def test_random_adapters_find_nothing_in_nineteen_of_twenty() -> None:
    rng = np.random.default_rng(1)
    rows, found = unit(rng, 200, 24), 0
    adapters = 100
    for _ in range(adapters):
        cosine = np.abs(unit(rng, 40, 24) @ rows.T).max(1)
        matches = component_groups({"x@1.0": item_of(cosine, width=24, rows=200)}, PARAMS)["matches"]
        found += bool((matches["q"].values <= PARAMS.level).any())
    assert found <= adapters / 20 + 3 * np.sqrt(adapters / 20)


def test_one_planted_row_among_random_ones_is_found() -> None:
    rng = np.random.default_rng(2)
    rows, directions = unit(rng, 200, 24), unit(rng, 40, 24)
    directions[7] = rows[11]
    cosine = np.abs(directions @ rows.T).max(1)
    groups = component_groups({"x@1.0": item_of(cosine, width=24, rows=200)}, PARAMS)
    assert np.flatnonzero(groups["matches"]["q"].values <= PARAMS.level).tolist() == [7]
    assert summary(groups, PARAMS.level) == {
        "x@1.0": {"components": 40, "tested": 40, "found": 1, "largest_cosine": 1.0}
    }


def test_tables_follow_the_schema_and_tests_are_by_variant() -> None:
    one = item_of(np.array([0.9, 0.2]), width=8, rows=4, rank=np.array([0, 1]))
    two = item_of(np.array([0.5, 0.9, 0.1]), width=8, rows=4)
    groups = component_groups({"a@1.0": one, "b@0.5": two}, PARAMS)
    check_dataset(groups, COMPONENTS)
    assert groups["components"]["variant"].values.tolist() == ["a@1.0"] * 2 + ["b@0.5"] * 3
    assert groups["matches"]["of"].values.tolist() == [0, 1, 2, 3, 4]
    p, q = groups["matches"]["p"].values, groups["matches"]["q"].values
    assert q[0] == p[0], "the only test of its variant"
    assert np.isnan(q[1])
    assert q[3] == pytest.approx(3 * p[3])
    check_dataset(component_groups({}, PARAMS), COMPONENTS)
