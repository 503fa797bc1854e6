"""What an adapter writes to: tables against sums written as loops."""

import math
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest

from store import NotInStoreError, open_collection, write_collection
from store.collections.item import Item
from store.format.validation import check_item
from store.schema.adapters import ADAPTERS
from store.schema.candidates import CANDIDATES
from store.schema.vocabulary import ADAPTER_PARTS, CAUSES
from store.views.adapter import AdapterView
from tests.support.graph_cases import adapters_item
from tests.support.random_items import make_item


@pytest.fixture(params=range(3))
def item(request) -> Item:
    made = adapters_item(request.param)
    check_item(made, ADAPTERS)
    return made


def test_sources(item) -> None:
    view = AdapterView(item)
    assert list(view.sources) == ["part", "layer", "position", "component"]
    assert [str(part) for part in view.sources["part"]] == [
        ADAPTER_PARTS[code] for code in item.arrays["source_part"]
    ]
    assert view.direct.shape == view.total_effect.shape == (len(view.targets), len(view.sources))
    assert (view.sources.loc[view.sources["part"] != "down", "component"] == -1).all()
    assert (view.prompt_hash, view.variant) == (item.prompt_hash, "general@1.0")
    assert view.token_ids.tolist() == item.arrays["token"].tolist()


def test_writes_on_features_are_sums_over_positions(item) -> None:
    arrays = item.arrays
    sums: dict[tuple, list[float]] = defaultdict(list)
    for origin, column in np.ndindex(arrays["write"].shape):
        name = ADAPTER_PARTS[arrays["origin_part"][origin]]
        where = (int(arrays["write_layer"][column]), int(arrays["write_feature"][column]))
        sums[name, int(arrays["origin_layer"][origin]), *where].append(float(arrays["write"][origin, column]))
    expected = {who: math.fsum(values) for who, values in sums.items() if any(values)}
    table = AdapterView(item).writes_on_features()
    assert list(table) == ["part", "origin_layer", "layer", "feature", "write"]
    found = {tuple(row[:4]): row[4] for row in table.itertuples(index=False)}
    assert found.keys() == expected.keys()
    assert len(table) == len(found)
    for who, value in expected.items():
        assert found[who] == pytest.approx(value, rel=1e-12, abs=1e-14)
    assert any(len(values) > 1 for values in sums.values()), "the case has no feature at two positions"


def test_features_that_nothing_reaches_are_left_out_and_those_that_cancel_are_not() -> None:
    item = adapters_item(0)
    write = np.zeros_like(item.arrays["write"])
    layer, feature = item.arrays["write_layer"], item.arrays["write_feature"]
    same = next(
        columns
        for columns in (np.flatnonzero((layer == a) & (feature == b)) for a in range(3) for b in range(5))
        if len(columns) > 1
    )
    write[2, same[:2]] = 1.5, -1.5
    table = AdapterView(replace(item, arrays={**item.arrays, "write": write})).writes_on_features()
    assert table["write"].tolist() == [0.0]
    assert table.loc[0, ["layer", "feature"]].tolist() == [layer[same[0]], feature[same[0]]]


def test_writes_on_logits_by_part_and_layer(item) -> None:
    arrays = item.arrays
    table = AdapterView(item).writes_on_logits()
    assert list(table) == ["token", "part", "layer", "direct", "total_effect"]
    origins = sorted(zip(arrays["source_part"].tolist(), arrays["source_layer"].tolist(), strict=True))
    expected = [
        (token, ADAPTER_PARTS[part], layer)
        for token in arrays["target_token"].tolist()
        for part, layer in dict.fromkeys(origins)
    ]
    assert [tuple(row[:3]) for row in table.itertuples(index=False)] == expected
    for token, name, layer, direct, total in table.itertuples(index=False):
        row = arrays["target_token"].tolist().index(token)
        mine = [
            column
            for column in range(len(arrays["source_part"]))
            if ADAPTER_PARTS[arrays["source_part"][column]] == name
            and arrays["source_layer"][column] == layer
        ]
        assert direct == pytest.approx(math.fsum(map(float, arrays["source_direct"][row, mine])))
        assert total == pytest.approx(math.fsum(map(float, arrays["source_total_effect"][row, mine])))


def test_causes_add_up_to_the_change(item) -> None:
    view = AdapterView(item)
    assert tuple(view.causes) == CAUSES
    assert view.causes.index.tolist() == view.targets["token"].tolist()
    np.testing.assert_allclose(view.causes.sum(axis=1), view.targets["centred_change"], rtol=1e-5)
    assert list(view.targets) == ["token", "centred_change", "pattern_change"]
    error = view.causes["error"].abs() / view.causes.abs().sum(axis=1)
    assert view.error_share_of_change == pytest.approx(error.mean(), rel=1e-5)


def test_an_adapter_that_writes_nothing() -> None:
    arrays = adapters_item(0, n_targets=2).arrays
    dims = ("source", "write", "origin")
    none = {
        name: np.zeros(
            [0 if dim in dims else size for dim, size in zip(spec.dims, arrays[name].shape, strict=True)],
            spec.dtype,
        )
        for name, spec in ADAPTERS.arrays.items()
    }
    view = AdapterView(replace(adapters_item(0), arrays=none))
    assert len(view.sources) == len(view.writes_on_features()) == len(view.writes_on_logits()) == 0
    assert view.causes.shape == (2, len(CAUSES))


def test_through_the_store(tmp_path, item) -> None:
    write_collection(tmp_path / "adapters", ADAPTERS, [item], provenance={})
    back = open_collection(tmp_path / "adapters").item(item.prompt_hash, item.variant)
    table, expected = (AdapterView(one).writes_on_features() for one in (back, item))
    assert table.equals(expected)


def test_another_item_is_no_adapter_view() -> None:
    with pytest.raises(NotInStoreError, match="take it from the `adapters` collection"):
        AdapterView(make_item(CANDIDATES, "0" * 12, "base"))
