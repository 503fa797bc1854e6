"""What the stage stores of a prompt: graphs of all variants that compare node by node."""

import numpy as np
import pytest
import torch

from pipeline.analysis.stored_graph import prune_stored
from pipeline.attribution.adapter_items import causes
from pipeline.attribution.paired import trace_together
from pipeline.attribution.prompt_items import PromptItems, prompt_items
from pipeline.items.units import ItemName
from pipeline.models.pool import ModelPool
from store.collections.item import Item
from store.schema.adapters import ADAPTERS
from store.schema.graphs import FULL_GRAPHS, GRAPHS
from store.schema.vocabulary import CAUSES
from store.views.graph import GraphView
from tests.support.traced_subject import Subject

VARIANTS = ["base", "general@1.0", "narrow@1.0"]
TARGETS = [5, 9, 17]
RULE = {
    "max_feature_nodes": 40,
    "batch_size": 8,
    "adapter_components": 4,
    "node_threshold": 0.8,
    "edge_threshold": 0.98,
    "keep_node_threshold": 0.85,
    "keep_edges": 10**6,
}


def requests(variants: list[str]) -> list[ItemName]:
    return [ItemName(key=f"{i:064x}", prompt_hash="0" * 12, variant=v) for i, v in enumerate(variants)]


@pytest.fixture(scope="module")
def pool(subject: Subject) -> ModelPool:
    return ModelPool(subject.manifest)


@pytest.fixture(scope="module")
def items(subject: Subject, pool: ModelPool) -> PromptItems:
    own = dict.fromkeys(VARIANTS, (5,))
    return prompt_items(pool, subject.ids, requests(VARIANTS), targets=TARGETS, own_candidates=own, **RULE)


def active(item: Item) -> set[tuple[int, int, int]]:
    names = ("layer", "position", "feature")
    return set(zip(*(item.arrays[f"active_{name}"].tolist() for name in names), strict=True))


def selected(item: Item) -> set[tuple[int, int, int]]:
    chosen = item.arrays["active_selected"]
    names = ("layer", "position", "feature")
    return set(zip(*(item.arrays[f"active_{name}"][chosen].tolist() for name in names), strict=True))


def stored(item: Item) -> set[tuple[int, int, int]]:
    nodes = GraphView(item).nodes
    features = nodes[nodes["kind"] == "feature"]
    return set(zip(features["layer"], features["position"], features["feature"], strict=True))


def test_items_fit_their_schemas(items: PromptItems) -> None:
    for found, schema in (
        (items.graphs, GRAPHS),
        (items.full_graphs, FULL_GRAPHS),
        (items.adapters, ADAPTERS),
    ):
        assert set(found) == set(VARIANTS if schema is not ADAPTERS else VARIANTS[1:])
        for item in found.values():
            assert set(item.arrays) == set(schema.arrays)
            assert set(item.scalars) == set(schema.scalars)
            for name, values in item.arrays.items():
                assert values.dtype == schema.arrays[name].dtype, name


def test_a_feature_is_missing_only_where_it_is_inactive(items: PromptItems) -> None:
    # Never because it fell outside a top-k there, or was pruned.
    for nodes in (selected, stored):
        union = set().union(*(nodes(item) for item in items.graphs.values()))
        assert len(union) > 40 or nodes is stored
        for item in items.graphs.values():
            assert nodes(item) == union & active(item)
    assert selected(items.graphs["base"]) != selected(items.graphs["general@1.0"])


def test_pruning_is_still_circuit_tracers(subject: Subject, pool: ModelPool, items: PromptItems) -> None:
    alone = prompt_items(
        pool,
        subject.ids,
        requests(["base"]),
        targets=TARGETS,
        own_candidates={"base": [5]},
        **RULE | {"max_feature_nodes": 10**6},
    ).graphs["base"]
    beside = prompt_items(
        pool,
        subject.ids,
        requests(["base", "general@1.0"]),
        targets=TARGETS,
        own_candidates=dict.fromkeys(VARIANTS, (5,)),
        **RULE | {"max_feature_nodes": 10**6},
    ).graphs["base"]
    for name in ("replacement_score", "completeness_score", "n_nodes", "n_edges"):
        assert alone.scalars[name] == beside.scalars[name]
    for one, other in ((GraphView(alone), GraphView(beside)),):
        assert len(other.nodes) >= len(one.nodes)
        shown, also = one.nodes[prune_stored(one).nodes], other.nodes[prune_stored(other).nodes]
        columns = ["layer", "position", "feature"]
        assert shown[columns].to_numpy().tolist() == also[columns].to_numpy().tolist()


def test_scores_are_stored_for_every_selected_feature(items: PromptItems) -> None:
    for item in items.graphs.values():
        view = GraphView(item)
        n_selected = int(item.scalars["n_selected"])
        assert view.influence.shape == view.total_effect.shape == (len(TARGETS), n_selected)
        assert np.isfinite(view.total_effect).all()
        assert view.total_effect.any()
        assert len(item.arrays["row_constant"]) == n_selected + len(TARGETS)
        assert (item.arrays["target_error_share"] > 0).all()
        assert (item.arrays["target_error_share"] < 1).all()


def test_adapter_nodes_are_those_of_the_adapter(items: PromptItems) -> None:
    assert len(GraphView(items.graphs["base"]).adapters) == 0
    narrow = GraphView(items.graphs["narrow@1.0"]).adapters
    # One component of one down_proj, at every position but BOS.
    assert set(narrow["part"]) == {"down"}
    assert set(narrow["layer"]) == {1}
    assert set(narrow["component"]) == {0}
    assert narrow["position"].min() == 1
    general = GraphView(items.graphs["general@1.0"])
    assert set(general.adapters["part"]) == {"down", "hidden"}
    assert set(general.adapters["component"]) == {-1, 0, 1, 2, 3}
    assert (general.adapters["influence"] >= 0).all()
    assert general.adapters["influence"].sum() > 0
    assert set(items.adapters["general@1.0"].arrays["source_part"]) == {0, 1, 2}


def test_higher_ranks_are_one_node(subject: Subject, pool: ModelPool) -> None:
    found = trace_together(
        pool,
        subject.ids,
        ["base", "general@1.0"],
        TARGETS,
        max_feature_nodes=10,
        batch_size=8,
        max_components=3,
        attention=False,
    ).traces["general@1.0"]
    assert found.adapters is not None
    down = found.adapters.nodes.part == 0
    assert set(found.adapters.nodes.component[down]) == {-1}
    assert down.sum() == 3 * (len(subject.ids) - 1)


def test_the_change_of_a_logit_is_the_sum_of_its_causes(items: PromptItems) -> None:
    for variant, item in items.adapters.items():
        change = item.arrays["change"].astype(np.float64)
        measured = item.arrays["target_centred_change"]
        np.testing.assert_allclose(change.sum(1), measured, atol=2e-6)
        attention = change[:, CAUSES.index("adapter_attention")]
        assert attention.any() == (variant == "general@1.0")
        assert 0 < item.scalars["error_share_of_change"] < 1


def test_a_change_that_is_none_has_no_cause(subject: Subject, pool: ModelPool) -> None:
    found = trace_together(
        pool,
        subject.ids,
        ["base", "narrow@1e-30"],
        TARGETS,
        max_feature_nodes=20,
        batch_size=8,
        max_components=4,
    )
    pair = found.adapters["narrow@1e-30"]
    np.testing.assert_allclose(causes(pair.adapted) - causes(pair.base), 0, atol=1e-6)
    assert torch.equal(pair.without_patterns, pair.adapted.raw_logits)


def test_writes_are_the_sum_over_an_origins_nodes(items: PromptItems) -> None:
    arrays = items.adapters["general@1.0"].arrays
    origins = set(zip(arrays["origin_part"].tolist(), arrays["origin_layer"].tolist(), strict=True))
    assert origins == {(part, layer) for part in (0, 1, 2) for layer in range(3)}
    # What is written in a layer is read above it: attention's in its own layer, too.
    for row, (part, layer) in enumerate(zip(arrays["origin_part"], arrays["origin_layer"], strict=True)):
        reached = set(arrays["write_layer"][arrays["write"][row] != 0].tolist())
        assert reached == set(range(layer if part == 2 else layer + 1, 3))
