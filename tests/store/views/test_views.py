"""Typed views: one graph as tables, activations as a labelled sparse array."""

import numpy as np
import pandas as pd
import pytest
import sparse

from store import NotInStoreError, open_collection, write_collection
from store.base.hashing import digest
from store.collections.item import Item
from store.schema.activations import ACTIVATIONS
from store.schema.candidates import CANDIDATES
from store.schema.vocabulary import NODE_KINDS
from store.views.activations import select
from store.views.graph import GraphView
from tests.support.graph_cases import graph_item, make_case, with_adapters
from tests.support.random_items import make_item, make_items


def test_tables_of_a_graph() -> None:
    case = make_case(3)
    item = graph_item(case)
    graph = GraphView(item)
    assert list(graph.nodes) == [
        *("kind", "layer", "position", "feature", "value", "influence", "cumulative", "default")
    ]
    assert set(graph.nodes["kind"]) <= set(NODE_KINDS)
    assert [str(kind) for kind in graph.nodes["kind"]] == [
        NODE_KINDS[code] for code in item.arrays["node_kind"]
    ]
    assert list(graph.edges) == ["target", "source", "weight", "default"]
    assert list(graph.targets)[:2] == ["token", "logit"]
    assert len(graph.active) == graph.direct.shape[1]
    assert graph.direct.shape[0] == len(graph.targets)
    pd.testing.assert_series_equal(
        graph.edges["weight"], pd.Series(item.arrays["edge_weight"], name="weight")
    )
    layer, position, feature = graph.nodes.loc[2, ["layer", "position", "feature"]]
    assert graph.node_of(layer, position, feature) == 2
    with pytest.raises(NotInStoreError, match="no node L9/9 at position 1"):
        graph.node_of(9, 1, 9)
    assert (graph.prompt_hash, graph.variant) == (item.prompt_hash, "base")
    assert (graph.replacement_score, graph.completeness_score) == (0.5, 0.5)
    assert len(graph.token_ids) == case.n_positions


def test_scores_rows_and_adapters_of_a_graph() -> None:
    case = make_case(2)
    item = graph_item(case)
    graph = GraphView(item)
    n_targets, n_selected = len(graph.targets), int(graph.active["selected"].sum())
    assert graph.influence.shape == graph.total_effect.shape == (n_targets, n_selected)
    assert graph.row_unselected.shape == graph.row_constant.shape == (n_selected + n_targets,)
    assert graph.target_error_share.shape == (n_targets,)
    # Columns are features: of the top layer nothing lies between feature and logit.
    top = graph.active["layer"].to_numpy() == case.n_layers - 1
    np.testing.assert_allclose(graph.total_effect[:, top], graph.direct[:, top], rtol=1e-6, atol=1e-12)
    assert not np.allclose(graph.total_effect[:, ~top], graph.direct[:, ~top])
    assert len(graph.adapters) == len(graph.adapter_edges) == graph.adapter_direct.shape[1] == 0
    adapted = GraphView(with_adapters(item))
    assert list(adapted.adapters) == ["part", "layer", "position", "component", "influence"]
    assert adapted.adapters["part"].tolist() == ["hidden", *["down"] * 5]
    assert list(adapted.adapter_edges) == ["target", "source", "weight"]
    assert adapted.adapter_edges["source"].max() < len(adapted.adapters)
    assert adapted.adapter_direct.shape == (n_targets, len(adapted.adapters))


def test_another_item_is_no_graph() -> None:
    with pytest.raises(NotInStoreError, match="no graph"):
        GraphView(make_item(CANDIDATES, "0" * 12, "base"))


def _activations(prompt: int, variant: str, n_positions: int) -> tuple[Item, np.ndarray]:
    """An item and its dense (layer, position, feature) equal."""
    random = np.random.default_rng([prompt, *variant.encode()])
    dense = random.normal(size=(3, n_positions, 20)) * (random.random((3, n_positions, 20)) < 0.2)
    dense = dense.astype(np.float32)
    layer, position, feature = np.nonzero(dense)
    item = Item(
        key=digest([prompt, variant]),
        prompt_hash=digest(prompt)[:12],
        variant=variant,
        arrays={
            "layer": layer.astype(np.int16),
            "position": position.astype(np.int32),
            "feature": feature.astype(np.int32),
            "value": dense[layer, position, feature],
        },
        scalars={"n_positions": n_positions, "n_layers": 3, "d_transcoder": 20, "zeroed_positions": 1},
    )
    return item, dense


@pytest.fixture
def activations(tmp_path):
    made = {
        (prompt, variant): _activations(prompt, variant, 4 + prompt)
        for prompt in range(3)
        for variant in ("base", "general@1.0", "narrow@1.0")
        if (prompt, variant) != (1, "narrow@1.0")
    }
    path = tmp_path / "activations"
    write_collection(path, ACTIVATIONS, [item for item, _ in made.values()], provenance={})
    dense = {(digest(p)[:12], v): values for (p, v), (_, values) in made.items()}
    return open_collection(path), dense


def test_select_everything(activations) -> None:
    collection, dense = activations
    found = select(collection)
    assert isinstance(found.data, sparse.COO)
    assert found.dims == ("variant", "prompt", "layer", "position", "feature")
    assert found.dtype == np.float32
    for (prompt, variant), expected in dense.items():
        mine = found.sel(prompt=prompt, variant=variant)
        n_positions = int(mine.n_positions)
        assert n_positions == expected.shape[1]
        np.testing.assert_array_equal(mine.data.todense()[:, :n_positions], expected)
        assert mine.data[:, n_positions:].nnz == 0
        assert bool(mine.stored)
    # What is absent is not zero: it says so.
    assert found.stored.sum() == len(dense) == 8


def test_select_some(activations) -> None:
    collection, dense = activations
    prompt = digest(2)[:12]
    found = select(
        collection,
        prompt_hash=prompt,
        variant=["general@1.0", "base"],
        layer=np.int64(2),
        position=range(1, 4),
        feature=[17, 3],
    )
    assert found.shape == (2, 1, 1, 3, 2)
    assert found.feature.values.tolist() == [17, 3]
    for variant in ("base", "general@1.0"):
        expected = dense[prompt, variant][2, 1:4][:, [17, 3]]
        mine = found.sel(variant=variant, prompt=prompt, layer=2)
        np.testing.assert_array_equal(mine.data.todense(), expected)
    assert select(collection, feature=[3, 3]).sizes["feature"] == 1


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"prompt_hash": "0" * 12}, "no prompt 000000000000"),
        ({"variant": "other@1.0"}, "no variant other@1.0; they hold base, general@1.0"),
        ({"layer": 3}, "no layer 3; they go from 0 to 2"),
        ({"feature": [1, -1]}, "no feature -1; they go from 0 to 19"),
        ({"position": 99}, "no position 99"),
    ],
)
def test_labels_that_are_not_there_are_refused(activations, labels, message) -> None:
    with pytest.raises(NotInStoreError, match=message):
        select(activations[0], **labels)


def test_only_activations_are_selected(tmp_path) -> None:
    write_collection(tmp_path / "c", CANDIDATES, make_items(CANDIDATES, 1), provenance={})
    with pytest.raises(NotInStoreError, match="holds candidates, not activations"):
        select(open_collection(tmp_path / "c"))
    write_collection(tmp_path / "a", ACTIVATIONS, [], provenance={})
    assert select(open_collection(tmp_path / "a")).sizes["prompt"] == 0
