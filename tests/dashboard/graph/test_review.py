"""What a reader is told: changes without invented zeros, intervals with their level, ways out."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dashboard.data import documents, readers, tables
from dashboard.graph import difference, panels, pruned
from pipeline.analysis.difference import node_changes
from pipeline.analysis.node_ids import node_ids
from pipeline.analysis.null_changes import NullChanges
from tests.support import demo
from tests.support.app import OpenPage, plain_words
from tests.support.demo_graphs import WORDS, sides


def _facts(left: pruned.Side, right: pruned.Side) -> dict[str, str]:
    drawn = difference.difference(left, right, WORDS, n_layers=demo.LAYERS, pins=())
    json.dumps(drawn, allow_nan=False)
    return {node["id"]: node["facts"] for node in drawn["panels"][0]["nodes"]}


def test_each_kind_says_what_changed() -> None:
    left, right = sides(1.0)
    facts = _facts(left, right)
    assert {name[0] for name in facts} == set("FETO")
    for name, words in facts.items():
        assert ("activation" in words) == (name[0] == "F")
        assert words.startswith("probability " if name[0] == "O" else "influence ")
    logit = next(name for name in facts if name[0] == "O")
    values = [float(side.nodes["value"].iloc[node_ids(side.nodes).index(logit)]) for side in (left, right)]
    change = difference.number(values[1] - values[0], sign=True)
    assert facts[logit].endswith(f"({change})")


def test_active_but_not_stored_is_below_what_the_store_keeps() -> None:
    left, right = sides(1.0)
    drawn = np.array(node_ids(left.nodes))[left.kept_nodes].tolist()
    shared = [name for name in drawn if name[0] == "F" and name in node_ids(right.nodes)]
    row = node_ids(right.nodes).index(shared[0])
    # The right graph without that node, which stays active there.
    nodes = right.nodes.drop(index=row).reset_index(drop=True)
    without = replace(
        right,
        nodes=nodes,
        edges=right.edges.iloc[:0],
        kept_nodes=np.arange(len(nodes)),
        kept_edges=np.zeros(0, dtype=int),
    )
    words = _facts(left, without)[shared[0]]
    assert f"→ {difference.BELOW}, activation" in words
    assert "(" not in words.split(", ")[0], "a change from or to an unknown number"
    layer, feature, position = (int(part) for part in shared[0][1:].split("."))
    assert words.endswith(difference.number(right.active[layer, position, feature]))
    gone = replace(without, active={})
    assert "→ 0 (" in _facts(left, gone)[shared[0]]


def test_header_counts_what_was_cut() -> None:
    left, right = sides(1.0, n_features=1200)
    panel = difference.difference(left, right, WORDS, n_layers=demo.LAYERS, pins=())["panels"][0]
    assert f"showing {len(panel['nodes'])} of " in panel["said"]
    assert f"at most {pruned.MAX_EDGES} edges" in panel["said"]
    assert len(panel["edges"]) <= pruned.MAX_EDGES
    json.dumps(panels.side_by_side(left, right, WORDS, n_layers=demo.LAYERS, pins=()), allow_nan=False)


def _untraced(root: Path) -> str:
    prompts = documents.prompts("demo")
    return next(prompt for prompt in prompts if "narrow@1.0" not in readers.traced("demo", prompt))


def test_untraced_variant_keeps_the_other_and_says_the_way_out(root: Path, open_page: OpenPage) -> None:
    chosen = _untraced(root)
    app = open_page("compare", a="base", b="narrow@1.0", prompt=chosen)
    assert not app.exception
    words = plain_words(app)
    assert "traced with base and general@1.0 only; the store holds no variant narrow@1.0" in words
    assert "every-variant" in words
    assert len(app.info) == 1, "said once"
    assert "Candidates" in words
    assert app.button(key="next-traced-prompt")
    app.button(key="next-traced-prompt").click().run()
    assert "narrow@1.0" in readers.traced("demo", app.session_state["prompt"])
    assert not app.info


def test_pair_on_every_prompt_marks_none(open_page: OpenPage) -> None:
    app = open_page("compare", a="base", b="general@1.0")
    assert not any(option.startswith("○") for option in app.selectbox(key="prompt").options)
    assert not [button for button in app.button if button.key == "next-traced-prompt"]


@pytest.mark.parametrize(("confidence", "words"), [(0.95, "95% interval"), (0.9, "90% interval")])
def test_level_is_that_of_the_provenance(confidence: float, words: str) -> None:
    assert tables.level_words({"parameters": {"evaluate": {"confidence": confidence}}}, "evaluate") == words
    assert tables.level_words({}, "evaluate") == "interval"


def test_health_says_when_it_was_checked(open_page: OpenPage) -> None:
    assert "passed their health checks when models.json was made" in plain_words(open_page("overview"))
    provenance = open_page("provenance")
    assert "python -m store verify artifacts/demo" in plain_words(provenance)
    assert "artifacts/demo/*" not in plain_words(provenance)


def test_headline_names_its_situations(open_page: OpenPage) -> None:
    titles = [element.value for element in open_page("overview").subheader]
    assert "Harmful rate by variant, held-out situations" in titles


def test_a_change_stands_beside_those_of_random_adapters() -> None:
    left, right = sides(1.0)
    nulls = NullChanges(
        share=np.array([1.0, 0.01, 0.001]),
        size={
            "influence": np.array([0.0, 1e-6, np.nan]),
            "activation": np.array([0.0, 1e9, np.nan]),
            "edge": np.array([0.0, 1e9, np.nan]),
        },
    )
    drawn = difference.difference(left, right, WORDS, n_layers=demo.LAYERS, pins=(), nulls=nulls)
    features = [node for node in drawn["panels"][0]["nodes"] if node["kind"] == "feature"]
    others = [node for node in drawn["panels"][0]["nodes"] if node["kind"] != "feature"]
    assert all("as large with random adapters: " in node["facts"] for node in features)
    assert not any("random adapters" in node["facts"] for node in others)
    moved = [node for node in features if "random adapters: 1% and 100% of" in node["facts"]]
    assert moved
    # Of all that is stored: what is drawn was chosen for its change.
    both = node_changes(left, right)
    stored = both.loc[both["kind"] == "feature", "change"].abs()
    words = drawn["panels"][0]["said"]
    assert f"; of all that is stored, {(stored >= 1e-6).sum()} of {len(stored)} features (" in words
    assert " and 0 of " in words
    assert words.endswith("edges (0%) change more than 99% of random adapters' changes")
    # Random adapters' edges are without those of adapter nodes.
    with_nodes = replace(right, n_adapters=3)
    words = difference.difference(left, with_nodes, WORDS, n_layers=demo.LAYERS, pins=(), nulls=nulls)[
        "panels"
    ][0]["said"]
    assert "features" in words.split("; of all that is stored, ")[1]
    assert "edges" not in words.split("; of all that is stored, ")[1]
    plain = difference.difference(left, right, WORDS, n_layers=demo.LAYERS, pins=())["panels"][0]
    assert "random adapters" not in json.dumps(plain)
