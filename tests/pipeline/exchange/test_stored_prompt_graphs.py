"""Graphs by prompt as GraphML and node-link JSON: networkx reads both back equal, and equal to the store."""

from pathlib import Path

import networkx as nx
import numpy as np
import pytest

from pipeline.exchange.stored_prompt_graphs import CONTRAST, prompt_graph, prompt_graph_files
from store.collections.item import Item
from store.documents.token_texts import write_token_texts
from tests.support.demo.behaviour_graphs import behaviour_graph, write_behaviour_graphs
from tests.support.demo.behaviours import FAILS, NAMES, behaviour_prompts, write_behaviours
from tests.support.graph_files import of_graphml, of_json

# XML holds no control character and reads a carriage return as a line's end.
TEXTS = [f"<{token}&\x00\r" for token in range(500)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo")
    write_behaviours(path)
    write_behaviour_graphs(path)
    write_token_texts(path / "vocabulary.json", TEXTS)
    return path


def test_both_forms_of_every_traced_prompt_are_read_back_equal(folder: Path) -> None:
    files = dict(prompt_graph_files(folder, FAILS[0], 12))
    traced = [prompt for name in NAMES for prompt in behaviour_prompts(name)]
    names = [f"graph_{one.behaviour}_{one.split}_{one.hash}" for one in traced]
    assert sorted(files) == sorted(f"{name}.{form}" for name in names for form in ("graphml", "json"))
    for prompt, name in list(zip(traced, names, strict=True))[::5]:
        read = of_graphml(files[f"{name}.graphml"])
        assert nx.utils.graphs_equal(read, of_json(files[f"{name}.json"]))
        assert (read.graph["hash"], read.graph["prompt"]) == (prompt.hash, prompt.prompt)
        assert read.is_directed()
    assert list(prompt_graph_files(folder, "narrow@1.0", 12)) == []


def item_of(rng: np.random.Generator) -> Item:
    return behaviour_graph(rng, behaviour_prompts(NAMES[0])[0], "base")


@pytest.mark.parametrize("most", [1, 12, 10**6])
def test_the_strongest_features_and_what_is_between_them(most: int) -> None:
    item = item_of(np.random.default_rng(4))
    arrays = item.arrays
    graph, nodes, edges = prompt_graph(behaviour_prompts(NAMES[0])[0], item, TEXTS, most)
    names = [
        f"L{layer}/{index}@{position}"
        for layer, index, position in zip(
            arrays["active_layer"], arrays["active_feature"], arrays["active_position"], strict=True
        )
    ]
    total = np.abs(arrays["total_effect"])
    first = {names[row] for row in np.argsort(-total, kind="stable")[:most]}
    assert {name for name, of in nodes.items() if of["kind"] == "feature"} == first
    assert graph["n_features"] - graph["n_left_out"] == len(first) == min(most, len(names))
    expected = {
        (names[source], names[target]): weight
        for source, target, weight in zip(
            arrays["edge_source"], arrays["edge_target"], arrays["edge_weight"], strict=True
        )
        if {names[source], names[target]} <= first
    }
    assert most == 1 or expected
    expected |= {
        (names[row], CONTRAST): value for row, value in enumerate(arrays["direct"]) if names[row] in first
    }
    expected |= {(f"token@{place}", CONTRAST): value for place, value in enumerate(arrays["token_direct"])}
    assert {ends: of["weight"] for ends, of in edges.items()} == expected
    for row, name in enumerate(names):
        if name in first:
            assert nodes[name]["total_effect"] == arrays["total_effect"][row]
            assert nodes[name]["activation"] == arrays["active_value"][row]
    token = int(arrays["token"][2])
    assert nodes["token@2"]["text"] == f"<{token}&\ufffd\ufffd"
    assert nodes["token@2"]["total_effect"] == arrays["token_total_effect"][2]
    assert graph["logit_correct"] == 3.0
    assert (graph["correct_token"], graph["incorrect_token"]) == (7, 9)
