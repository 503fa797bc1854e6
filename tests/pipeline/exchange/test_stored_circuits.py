"""Circuits as GraphML and node-link JSON: networkx reads both back equal, and equal to the store."""

from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.exchange.stored_circuits import circuit_files, graphml, node_link
from store.datasets.groups import open_dataset
from tests.support.demo.behaviours import FAILS, NAMES
from tests.support.demo.circuits import write_circuits
from tests.support.graph_files import of_graphml, of_json

# XML has no control characters, and reads a carriage return as a line's end.
_TEXTS = st.text(st.characters(exclude_categories=["C"], exclude_characters="\r"), max_size=8)
_VALUES = {
    "passes": st.booleans(),
    "layer": st.integers(0, 99),
    "weight": st.floats(allow_nan=False, allow_infinity=False),
    "behaviour": _TEXTS,
}
_SOME = st.fixed_dictionaries({}, optional=_VALUES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo")
    write_circuits(path)
    return path


@given(graph=_SOME, nodes=st.dictionaries(st.sampled_from(["L0/1", "L1/7", "L2/5"]), _SOME), links=st.data())
def test_networkx_reads_both_back_equal(graph, nodes, links) -> None:
    pairs = [(a, b) for a in nodes for b in nodes]
    edges = links.draw(st.dictionaries(st.sampled_from(pairs), _SOME)) if pairs else {}
    expected = nx.DiGraph(**graph)
    expected.add_nodes_from(nodes.items())
    expected.add_edges_from((*ends, of) for ends, of in edges.items())
    for read in (of_graphml(graphml(graph, nodes, edges)), of_json(node_link(graph, nodes, edges))):
        assert nx.utils.graphs_equal(read, expected)
        assert [type(read.graph[name]) for name in graph] == [type(value) for value in graph.values()]


@pytest.mark.parametrize("form", ["graphml", "json"])
def test_every_number_is_the_stored_one(folder: Path, form: str) -> None:
    files = dict(circuit_files(folder, FAILS[0]))
    assert files.keys() == {f"circuit_{name}.{each}" for name in NAMES for each in ("graphml", "json")}
    summary, circuit, edges = (
        open_dataset(folder / "circuits", name) for name in ("summary", "circuit", "edges")
    )
    for name in NAMES:
        read = (of_graphml if form == "graphml" else of_json)(files[f"circuit_{name}.{form}"])
        assert read.is_directed()
        assert read.graph["variant"] == FAILS[0]
        assert read.graph["passes"] is (name != FAILS[1])
        stored = summary.sel(variant=FAILS[0], behaviour=name)
        assert read.graph["n_found"] == int(stored["n_found"])
        rows = (
            circuit.to_dataframe()
            .rename(columns={"index": "feature"})
            .query("variant == @FAILS[0] and behaviour == @name")
        )
        assert len(read) == len(rows) > 0
        for row in rows.itertuples():
            node = read.nodes[f"L{row.layer}/{row.feature}"]
            assert node["total_effect"] == row.total_effect
            assert ("p" in node) == np.isfinite(row.p), "what is not known is left out"
        lines = edges.to_dataframe().query("variant == @FAILS[0] and behaviour == @name")
        assert read.number_of_edges() == len(lines) > 0
        for row in lines.itertuples():
            ends = f"L{row.source_layer}/{row.source_index}", f"L{row.target_layer}/{row.target_index}"
            assert read.edges[ends]["weight"] == row.weight
            assert read.edges[ends]["virtual_weight"] == row.virtual_weight
            # Sources are of earlier layers.
            assert read.nodes[ends[0]]["layer"] < read.nodes[ends[1]]["layer"]


def test_a_variant_that_was_not_traced_has_none(folder: Path) -> None:
    assert list(circuit_files(folder, "narrow@1.0")) == []
