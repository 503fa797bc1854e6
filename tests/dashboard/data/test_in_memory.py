"""What the dashboard keeps of a dataset, against plain searches and sorts."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from dashboard.data.in_memory import FeatureRows, columns_of, with_small_arrays
from dashboard.data.tables import ranked_feature, ranking_frame
from store.datasets.groups import open_dataset

_FEATURES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2**31 - 1)), min_size=1, max_size=30)
_EFFECTS = st.sampled_from([np.nan, -np.inf, -1.5, 0.0, -0.0, 2.5, np.inf])


def _ranking(features: list[tuple[int, int]], effects: list[float]) -> xr.Dataset:
    layer, index = np.array(features).T
    shape = ("contrast", "domain", "feature")
    columns = ("low", "high", "p", "q", "found", "null_share", "n_situations", "n_effective")
    values = np.array(effects, np.float32)[None, None]
    return xr.Dataset(
        {"effect": (shape, values), **{name: (shape, np.zeros_like(values)) for name in columns}}
        | {"layer": ("feature", layer.astype(np.int16)), "index": ("feature", index.astype(np.int32))},
        {"contrast": ["c"], "domain": ["all"]},
    )


def test_some_columns_are_read_a_block_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.data.in_memory._BLOCK", 4)
    values = np.random.default_rng(0).normal(size=(3, 11)).astype(np.float32)
    table = xr.DataArray(values, dims=("situation", "feature"))
    rows = np.array([10, 0, 3, 4, 3])
    np.testing.assert_array_equal(columns_of(table, rows), values[:, rows])
    assert columns_of(table, rows[:0]).shape == (3, 0)


@given(_FEATURES, st.data())
def test_a_feature_is_where_a_scan_finds_it(features: list[tuple[int, int]], data: st.DataObject) -> None:
    layer, index = np.array(features).T
    rows = FeatureRows(layer.astype(np.int16), index.astype(np.int32))
    for asked in data.draw(st.lists(st.sampled_from([*features, (3, 0), (4, 1)]))):
        assert rows.row(*asked) == (features.index(asked) if asked in features else None)
    assert rows.layers == sorted({layer for layer, _ in features})


@given(_FEATURES.map(lambda some: list(dict.fromkeys(some))), st.data(), st.booleans())
def test_a_ranking_is_by_effect_then_layer_then_index(
    features: list[tuple[int, int]], data: st.DataObject, written_in_order: bool
) -> None:
    features = sorted(features) if written_in_order else features
    effects = data.draw(st.lists(_EFFECTS, min_size=len(features), max_size=len(features)))
    frame = ranking_frame(_ranking(features, effects), "c", "all")
    strength = [-np.inf if np.isnan(effect) else effect for effect in effects]
    order = sorted(range(len(features)), key=lambda row: (-strength[row], *features[row]))
    assert frame["row"].tolist() == order
    one = ranked_feature(frame, *features[order[-1]])
    assert one is not None
    assert one["row"] == order[-1]
    assert ranked_feature(frame, 4, 0) is None


def test_what_is_small_is_read_once_and_cannot_be_written_to(
    demo_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = demo_root / "artifacts" / "demo" / "features"
    plain = open_dataset(path, "cards").load()
    read = _counted(monkeypatch)
    kept = with_small_arrays(open_dataset(path, "cards"))
    before = read()
    for name in plain.variables:
        np.testing.assert_array_equal(kept[name].values, plain[name].values)
    assert read() == before
    with pytest.raises(ValueError, match="read-only"):
        kept["frequency"].values[0] = 1.0


def test_what_is_large_is_read_when_it_is_used(demo_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.data.in_memory._SMALL", 0)
    read = _counted(monkeypatch)
    kept = with_small_arrays(open_dataset(demo_root / "artifacts" / "demo" / "features", "cards"))
    before = read()
    assert kept["frequency"][:, 0].values.shape == (kept.sizes["variant"],)
    assert read() == before + 1


def _counted(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How often an array was read of the store since."""
    from store.format.artifact import Artifact

    real, calls = Artifact.read, []

    def counting(self: Artifact, requests: object) -> object:
        calls.append(requests)
        return real(self, requests)  # type: ignore[arg-type]

    monkeypatch.setattr(Artifact, "read", counting)
    return lambda: len(calls)
