"""The JSON is circuit-tracer's own, node by node and link by link."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from circuit_tracer.frontend import graph_models
from circuit_tracer.graph import Graph
from circuit_tracer.utils import create_graph_files

from pipeline.analysis.stored_graph import default_pruning
from pipeline.analysis.viewer_json import Captions, encoded, graph_document, slug_of
from pipeline.exchange.exporting import export_pt
from pipeline.exchange.importing import import_graph
from pipeline.exchange.stored_graphs import StoredGraphs
from pipeline.exchange.viewer_documents import export_json
from store.collections.item import Item
from store.schema.vocabulary import ERROR, FEATURE
from store.views.graph import GraphView
from tests.support.exchange_project import PROFILE, VARIANTS, Project
from tests.support.places import ROOT


def document(project: Project, variant: str, **options: Any) -> dict[str, Any]:
    stored = StoredGraphs(PROFILE, imported=options.pop("imported", False))
    content, _ = export_json(stored, project.first, variant, project.params.graphs, **options)
    return dict(json.loads(content))


@pytest.fixture
def theirs(project: Project, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What circuit-tracer itself writes of an exported graph."""

    def write(variant: str, node_threshold: float, edge_threshold: float) -> dict[str, Any]:
        path = project.root / "graph.pt"
        path.write_bytes(export_pt(StoredGraphs(PROFILE), project.first, variant, project.params))
        create_graph_files(
            Graph.from_pt(str(path)), "theirs", str(project.root), "set", node_threshold, edge_threshold
        )
        return dict(json.loads((project.root / "theirs.json").read_text()))

    return write


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("node", "edge"), [(0.8, 0.98), (0.6, 0.9)])
def test_nodes_and_links_are_circuit_tracers(
    project: Project, theirs: Any, variant: str, node: float, edge: float
) -> None:
    found = document(project, variant, node_threshold=node, edge_threshold=edge, scan="set")
    wanted = theirs(variant, node, edge)
    # In its ids an error node may be a feature's namesake: see below.
    found = json.loads(json.dumps(found).replace('_error"', '"'))
    assert len(wanted["nodes"]) > 20
    assert len(wanted["links"]) > 20
    for ours, other in zip(found["nodes"], wanted["nodes"], strict=True):
        influence = [each.pop("influence") for each in (ours, other)]
        assert influence[0] == pytest.approx(influence[1], abs=1e-4)
        assert ours == other
    assert found["links"] == wanted["links"]
    assert found["qParams"] == wanted["qParams"]
    for name in ("scan", "transcoder_list", "prompt_tokens", "node_threshold", "schema_version"):
        assert found["metadata"][name] == wanted["metadata"][name], name


@pytest.mark.parametrize("variant", VARIANTS)
def test_circuit_tracers_models_accept_it(project: Project, variant: str) -> None:
    found = document(project, variant)
    model = graph_models.Model.model_validate(found, strict=True)
    for link in found["links"]:
        graph_models.Link.model_validate(link, strict=True)
    ids = [node.node_id for node in model.nodes]
    assert len(set(ids)) == len(ids)
    assert {link[end] for link in model.links for end in ("source", "target")} <= set(ids)


def test_neuronpedias_schema_has_what_it_requires(project: Project) -> None:
    found = document(project, "general@1.0", scan="llama3.2-1b", source_set="transcoder-hp")
    metadata = found["metadata"]
    assert {"slug", "scan", "prompt_tokens", "prompt"} <= metadata.keys()
    assert metadata["scan"] == "llama3.2-1b"
    assert metadata["feature_details"] == {"neuronpedia_source_set": "transcoder-hp"}
    assert metadata["generation_settings"]["max_feature_nodes"] == 8192
    assert metadata["pruning_settings"] == {"node_threshold": 0.8, "edge_threshold": 0.98}
    assert "general@1.0" in metadata["info"]["description"]
    required = {"node_id", "feature", "layer", "ctx_idx", "feature_type", "jsNodeId", "clerp"}
    assert all(required <= node.keys() for node in found["nodes"])


def test_an_error_node_and_a_feature_never_share_an_id(project: Project) -> None:
    # circuit-tracer: feature 2 of layer 0 and the error of layer 2 are both 0_2_POSITION.
    item = StoredGraphs(PROFILE).item(project.first, "general@1.0")
    arrays = {name: values.copy() for name, values in item.arrays.items()}
    error = int(np.flatnonzero((arrays["node_kind"] == ERROR) & arrays["node_default"])[0])
    feature = int(np.flatnonzero((arrays["node_kind"] == FEATURE) & arrays["node_default"])[0])
    arrays["node_layer"][feature] = 0
    arrays["node_feature"][feature] = arrays["node_layer"][error]
    arrays["node_position"][feature] = arrays["node_position"][error]
    view = GraphView(Item(**vars(item) | {"arrays": arrays}))
    captions = Captions(slug="x", scan="x", prompt="", tokens=[], targets=["a"] * len(arrays["target_token"]))
    found = graph_document(view, default_pruning(view), captions, node_threshold=0.8)
    ids = [node["node_id"] for node in found["nodes"]]
    assert len(set(ids)) == len(ids)
    name = f"0_{arrays['node_layer'][error]}_{arrays['node_position'][error]}"
    assert {name, f"{name}_error"} <= set(ids)
    wanted = sorted(arrays["edge_weight"][arrays["edge_default"] & (arrays["edge_source"] == error)].tolist())
    assert sorted(link["weight"] for link in found["links"] if link["source"] == f"{name}_error") == wanted


def test_pins_that_are_shown_are_pinned(project: Project) -> None:
    view = GraphView(StoredGraphs(PROFILE).item(project.first, "base"))
    shown = default_pruning(view)
    captions = Captions(slug="x", scan="x", prompt="", tokens=[], targets=["a"] * 99)
    inside, outside = np.flatnonzero(shown.nodes)[3], np.flatnonzero(~shown.nodes)[0]
    found = graph_document(view, shown, captions, node_threshold=0.8, pinned=[int(outside), int(inside)])
    assert found["qParams"]["pinnedIds"] == [found["nodes"][3]["node_id"]]


def test_an_imported_graph_keeps_its_own_words(project: Project) -> None:
    path = project.root / "theirs.pt"
    graph = project.graph("base")
    targets = [type(graph.logit_targets[0])("cats - dogs", graph.vocab_size + 5), *graph.logit_targets[1:]]
    content = {name: value for name, value in vars(graph).items() if name != "n_pos"}
    Graph(**content | {"logit_targets": targets, "scan": ["one/set", "two/set"]}).to_pt(str(path))
    import_graph(path, PROFILE, project.params)
    found = document(project, "theirs", imported=True)
    clerps = [node["clerp"] for node in found["nodes"] if node["feature_type"] == "logit"]
    assert clerps[0].startswith('Output "cats - dogs" (p=')
    assert found["metadata"]["scan"] == "custom"
    assert "generation_settings" not in found["metadata"]
    own = document(project, "base")
    assert [node["node_id"] for node in found["nodes"]][:10] == [node["node_id"] for node in own["nodes"]][
        :10
    ]


def test_thresholds_beyond_what_is_stored_are_told(project: Project) -> None:
    graphs = project.params.graphs
    stored = StoredGraphs(PROFILE)
    exact = [
        export_json(stored, project.first, "base", graphs, node_threshold=node, edge_threshold=0.98)[1]
        for node in (0.8, 0.7, 0.999)
    ]
    assert exact == [True, True, False]


def test_addresses_hold_any_slug() -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]+", slug_of("0" * 12, "my adapter/é@-0.5"))


def test_half_a_surrogate_pair_is_valid_json() -> None:
    assert json.loads(encoded({"a": "x\ud83d é"})) == {"a": "x\ud83d é"}
    assert "é".encode() in encoded({"a": "é"})
    with pytest.raises(ValueError, match="JSON compliant"):
        encoded({"a": float("nan")})


def test_neither_help_nor_json_loads_torch(project: Project) -> None:
    def loaded(arguments: list[str]) -> set[str]:
        code = (
            "import sys\nfrom pipeline.exchange.__main__ import main\n"
            f"try: main({arguments!r})\nexcept SystemExit: pass\n"
            "print([name for name in ('torch', 'numpy', 'zarr', 'pydantic') if name in sys.modules])"
        )
        run = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        return set(json.loads(run.stdout.splitlines()[-1].replace("'", '"')))

    assert loaded(["--help"]) == set()
    assert loaded(["export", "--help"]) == set()
    export = ["export", PROFILE, "--prompt", project.first, "--variant", "base", "--format", "json"]
    assert "torch" not in loaded(export)
    assert Path(f"{project.first}-base.json").exists()
