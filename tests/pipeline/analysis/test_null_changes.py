"""What random adapters change: shares that are never understated, and nothing where nothing changed."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.analysis.null_changes import LEVELS, QUANTITIES, READ, NullChanges, _sizes, null_changes
from pipeline.analysis.statistics import share_as_large
from store.views.graph import GraphView
from tests.support import demo


def kept(changes: np.ndarray) -> NullChanges:
    return NullChanges(share=LEVELS, size={"edge": _sizes(changes)})


@given(
    arrays(np.float64, st.integers(1, 300), elements=st.floats(0, 5).map(lambda x: round(x, 2))),
    st.floats(-6, 6).map(lambda x: round(x, 2)),
)
def test_a_share_is_the_next_level_above_the_exact_one(changes: np.ndarray, change: float) -> None:
    exact = float(share_as_large(np.array([abs(change)]), changes)[0])
    found = kept(changes).as_large("edge", change)
    assert found >= exact * (1 - 1e-9)
    assert found == pytest.approx(min(level for level in LEVELS if level >= exact * (1 - 1e-9)))


@given(
    arrays(np.float64, st.integers(1, 300), elements=st.floats(0, 5).map(lambda x: round(x, 2))),
    st.sampled_from([0.5, 0.1, 0.01]),
)
def test_a_size_is_reached_by_no_more_than_its_share(changes: np.ndarray, share: float) -> None:
    size = kept(changes).size_at("edge", share)
    if np.isnan(size):
        assert 1 / (1 + len(changes)) > share * 0.9, "there are enough to tell"
    else:
        assert (1 + (changes >= size).sum()) / (1 + len(changes)) <= share * (1 + 1e-9)


def test_without_random_adapters_nothing_is_known() -> None:
    nothing = NullChanges.of(null_changes({"a": ["base", "general@1.0"]}, _unread, ["null-1@1.0"]))
    assert set(nothing.size) == set(QUANTITIES)
    assert np.isnan(nothing.as_large("edge", 1.0))
    assert np.isnan(kept(np.ones(9)).as_large("influence", 1.0))
    assert np.isnan(kept(np.ones(9)).as_large("edge", np.nan))


def _unread(prompt: str, variant: str) -> GraphView:
    raise AssertionError(f"the graph of {prompt}, {variant} was read")


def test_changes_are_pooled_over_prompts_and_adapters() -> None:
    """Base against itself changes nothing; against another graph, as the difference says."""
    rng = np.random.default_rng(0)
    prompt = demo.make_prompts()[0]
    items = {
        variant: demo.graph_item(prompt, variant, demo.probabilities_of(variant, rng), n_features=60)
        for variant in ("base", "general@1.0")
    }
    views = {
        variant: GraphView(replace(item, arrays={name: item.arrays[name] for name in READ}))
        for variant, item in items.items()
    }
    same = GraphView(replace(views["base"].item, variant="null-1@1.0"))
    other = GraphView(replace(views["general@1.0"].item, variant="null-2@1.0"))
    read = {"base": views["base"], "null-1@1.0": same, "null-2@1.0": other}

    def of(*nulls: str) -> xr.Dataset:
        return null_changes({"p": list(read)}, lambda _, variant: read[variant], nulls)

    alone, both = of("null-1@1.0"), of("null-1@1.0", "null-2@1.0")
    still = NullChanges.of(alone)
    for quantity in QUANTITIES:
        assert still.as_large(quantity, 0.0) == 1.0
        n = int(alone["n"].sel(quantity=quantity))
        assert 1 / (1 + n) <= still.as_large(quantity, 1e-9) <= 1.1 / (1 + n)
    assert (both["n"] > alone["n"]).all()
    moved = NullChanges.of(both)
    assert moved.as_large("activation", 1e-9) > still.as_large("activation", 1e-9)
