"""The JSON for circuit-tracer's frontend has its schema and its ids."""

import json

import pytest

from dashboard.graph import export
from pipeline.analysis.node_ids import node_ids
from pipeline.analysis.stored_graph import prune_stored
from tests.support.demo_graphs import PROMPT, WORDS, view


@pytest.fixture(scope="module")
def document() -> dict[str, object]:
    return dict(
        json.loads(
            export.frontend_json(
                view("base"),
                WORDS,
                prompt=PROMPT.text,
                scan="artifacts/demo/transcoders",
                node_threshold=0.8,
                edge_threshold=0.98,
                pinned=node_ids(view("base").nodes)[:3],
            )
        )
    )


def test_schema_and_ids_are_circuit_tracers(document: dict[str, object]) -> None:
    models = pytest.importorskip("circuit_tracer.frontend.graph_models")
    made = models.Model(**document)
    assert made.metadata.prompt_tokens == list(PROMPT.tokens)
    ids = {node.node_id for node in made.nodes}
    assert len(ids) == len(made.nodes)
    assert {link[end] for link in made.links for end in ("source", "target")} <= ids
    for node in made.nodes:
        if node.feature_type == "cross layer transcoder":
            layer, feature, position = (int(part) for part in node.node_id.split("_"))
            theirs = models.Node.feature_node(layer, position, feature, activation=node.activation)
            assert (theirs.feature, theirs.jsNodeId) == (node.feature, node.jsNodeId)


def test_keeps_what_the_thresholds_keep(document: dict[str, object]) -> None:
    shown = prune_stored(view("base"), 0.8, 0.98)
    assert len(document["nodes"]) == int(shown.nodes.sum())  # type: ignore[arg-type]
    assert len(document["links"]) == int(shown.edges.sum())  # type: ignore[arg-type]
