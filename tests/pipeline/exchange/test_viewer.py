"""circuit-tracer's viewer with our graphs and feature cards, for this machine alone."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from circuit_tracer.frontend import feature_models, graph_models

from pipeline.analysis.viewer_json import cantor
from pipeline.exchange.__main__ import main
from pipeline.exchange.feature_cards import FeatureCards
from pipeline.exchange.stored_graphs import StoredGraphs
from pipeline.exchange.viewer import write_files
from pipeline.exchange.viewer_documents import export_json
from pipeline.labels.feature_names import promoted_name
from pipeline.params.project import load_params
from store.base.errors import UserError
from store.datasets.groups import open_dataset
from store.views.graph import GraphView
from tests.support import demo
from tests.support.browser import open_page
from tests.support.demo_project import linked
from tests.support.places import ROOT
from tests.support.viewer_requests import Serving, serving

PROFILE = "demo"
VARIANT = "general@1.0"


@pytest.fixture(scope="session")
def viewer_root(demo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with made-up graphs and features; read only."""
    root = tmp_path_factory.mktemp("viewer")
    linked(demo_root, root)
    params = (ROOT / "params.yaml").read_text(encoding="utf-8")
    (root / "params.yaml").write_text(params.replace("\n  organism:\n    model:", "\n  demo:\n    model:", 1))
    return root


@dataclass(frozen=True, kw_only=True)
class Served(Serving):
    """Two graphs in the viewer."""

    pairs: list[tuple[str, str]]


@pytest.fixture
def served(viewer_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.chdir(viewer_root)
    stored = StoredGraphs(PROFILE)
    pairs = stored.pairs([stored.graphs.prompts()[0]], ["base", "general"])
    folder = tmp_path / "files"
    assert write_files(stored, pairs, folder, load_params().graphs)
    with serving(folder) as here:
        yield Served(server=here.server, folder=folder, pairs=pairs)


def test_the_viewer_finds_its_page_its_index_and_its_graphs(served: Served) -> None:
    assert b"initCg" in served.ask("/index.html")[1]
    index = served.json("/data/graph-metadata.json")["graphs"]
    assert [entry["title_prefix"] for entry in index] == ["base:", f"{VARIANT}:"]
    for entry, (prompt, variant) in zip(index, served.pairs, strict=True):
        found = served.json(f"/graph_data/{entry['slug']}.json")
        graph_models.Model.model_validate(found, strict=True)
        shown = GraphView(StoredGraphs(PROFILE).item(prompt, variant)).item.arrays
        assert len(found["nodes"]) == shown["node_default"].sum()
        ends = [shown["node_default"][shown[f"edge_{end}"]] for end in ("source", "target")]
        assert len(found["links"]) == (shown["edge_default"] & ends[0] & ends[1]).sum() > 0


def test_every_feature_of_a_graph_has_its_card_where_the_viewer_looks(served: Served) -> None:
    index = served.json("/data/graph-metadata.json")["graphs"]
    for entry in index:
        # Another name than a path is looked up in the web.
        assert entry["scan"].startswith("./data/")
        nodes = served.json(f"/graph_data/{entry['slug']}.json")["nodes"]
        features = [node for node in nodes if node["feature_type"] == "cross layer transcoder"]
        assert features
        for node in features:
            card = served.json(f"{entry['scan'].removeprefix('.')}/{node['feature']}.json")
            layer, index_of = (int(part) for part in node["node_id"].split("_")[:2])
            assert (card["transcoder_id"], card["index"]) == (str(layer), index_of)


def test_a_browser_never_shows_the_graphs_of_an_earlier_run(served: Served) -> None:
    url = f"{served.origin}/data/graph-metadata.json"
    with urllib.request.urlopen(url, timeout=60) as answer:
        assert answer.headers["Cache-Control"] == "no-store"


def test_what_was_saved_in_the_viewer_is_kept(served: Served) -> None:
    slug = served.json("/data/graph-metadata.json")["graphs"][0]["slug"]
    saved = {"pinnedIds": "E_1_0", "supernodes": '[["group","E_1_0"]]', "linkType": "both"}
    body = json.dumps({"qParams": saved}).encode()
    assert served.save(slug, body) == 200
    write_files(StoredGraphs(PROFILE), served.pairs, served.folder, load_params().graphs)
    found = served.json(f"/graph_data/{slug}.json")["qParams"]
    assert found == {**saved, "clickedId": "", "sg_pos": ""}
    (served.folder / f"{slug}.json").write_text("{}")
    with pytest.raises(UserError, match="no graph of the viewer's"):
        write_files(StoredGraphs(PROFILE), served.pairs, served.folder, load_params().graphs)


def test_what_a_graph_calls_its_tokens_is_no_html(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = "<img src=x onerror=alert(1)>"
    monkeypatch.setattr(StoredGraphs, "targets", lambda self, item: [bad] * 99)
    monkeypatch.setattr(StoredGraphs, "tokens", lambda self, item: [bad] * len(item.arrays["token"]))
    write_files(StoredGraphs(PROFILE), served.pairs, served.folder, load_params().graphs)
    for entry in served.json("/data/graph-metadata.json")["graphs"]:
        found = served.json(f"/graph_data/{entry['slug']}.json")
        shown = [*(node["clerp"] for node in found["nodes"]), *found["metadata"]["prompt_tokens"]]
        assert any("img src" in text for text in shown)
        assert not any(set(text) & set("<>") for text in shown)


@pytest.fixture
def features(viewer_root: Path) -> Path:
    return viewer_root / "artifacts" / PROFILE / "features"


def test_a_card_holds_what_the_artifact_knows(features: Path) -> None:
    cards, contexts = (open_dataset(features, group).load() for group in ("cards", "contexts"))
    row = 7
    layer, index = int(cards["layer"][row]), int(cards["index"][row])
    [(number, card)] = FeatureCards(features, demo.WORDS).cards(VARIANT, [(layer, index)])
    assert number == cantor(layer, index)
    words = [demo.WORDS[token] for token in cards["promoted_token"].values[row]]
    assert card["top_logits"] == words
    assert card["bottom_logits"] == [demo.WORDS[token] for token in cards["suppressed_token"].values[row]]
    assert card["activation_frequency"] == float(cards["frequency"].sel(variant=VARIANT)[row])
    assert card["act_max"] == float(contexts["activation"].values[:, row].max())
    names = [quantile["quantile_name"].split(":")[0] for quantile in card["examples_quantiles"]]
    assert names == [VARIANT, "base"]
    variant = contexts["variant"].values.tolist().index(VARIANT)
    known = contexts["text"].values[variant, row] >= 0
    examples = card["examples_quantiles"][0]["examples"]
    assert len(examples) == known.sum() < len(known)
    for place, example in zip(np.flatnonzero(known), examples, strict=True):
        feature_models.Example.model_validate(example, strict=True)
        tokens = contexts["token"].values[variant, row, place]
        assert example["tokens"] == [demo.WORDS[token] for token in tokens if token >= 0]
        np.testing.assert_allclose(
            example["tokens_acts_list"],
            contexts["activation"].values[variant, row, place][tokens >= 0],
            atol=1e-4,
        )
        strongest = int(np.argmax(example["tokens_acts_list"]))
        assert example["train_token_ind"] == strongest


def test_a_label_is_the_name_that_the_dashboard_shows(
    features: Path, viewer_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cards = open_dataset(features, "cards").load()
    rows = list(zip(cards["layer"].values.tolist(), cards["index"].values.tolist(), strict=True))
    labels = FeatureCards(features, demo.WORDS).labels()
    assert len(labels) == cards.sizes["feature"]
    promoted = [
        promoted_name(demo.WORDS[token] for token in tokens) for tokens in cards["promoted_token"].values[:4]
    ]
    assert [labels[row] for row in rows[:4]] == promoted
    # A judge's name goes before, where it holds; a person's before that.
    monkeypatch.chdir(viewer_root)
    judged = StoredGraphs(PROFILE).judged_names()
    people = {rows[3]: "quick money", (0, 999_999): "gone"}
    labels = FeatureCards(features, demo.WORDS, people, judged).labels()
    assert [labels[row] for row in rows[:4]] == [promoted[0], "reader 1", promoted[2], "quick money"]
    assert (0, 999_999) not in labels


def test_a_judges_name_goes_out_as_clerp(viewer_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(viewer_root)
    stored = StoredGraphs(PROFILE)
    prompt, variant = stored.pairs()[0]
    content, _ = export_json(stored, prompt, variant, load_params().graphs)
    clerps = {node["clerp"] for node in json.loads(content)["nodes"]}
    judged = {each.name for each in stored.judged_names().values()}
    assert judged
    assert clerps & judged


def test_an_unknown_feature_and_an_unknown_variant_have_cards(features: Path) -> None:
    cards = FeatureCards(features, demo.WORDS)
    [(_, empty)] = cards.cards(VARIANT, [(0, 999_999)])
    assert (empty["examples_quantiles"], empty["top_logits"]) == ([], [])
    first = open_dataset(features, "cards")
    key = int(first["layer"][0]), int(first["index"][0])
    [(_, card)] = cards.cards("imported", [key])
    assert card["examples_quantiles"]
    assert "activation_frequency" not in card


def test_without_the_features_stage_there_are_no_cards(
    demo_root: Path, viewer_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    linked(demo_root, tmp_path)
    (tmp_path / "artifacts" / PROFILE / "features").unlink()
    shutil.copy(viewer_root / "params.yaml", tmp_path / "params.yaml")
    monkeypatch.chdir(tmp_path)
    stored = StoredGraphs(PROFILE)
    pairs = stored.pairs()[:1]
    assert not write_files(stored, pairs, tmp_path / "files", load_params().graphs)
    assert {path.suffix for path in (tmp_path / "files").iterdir()} == {".json"}
    [entry] = json.loads((tmp_path / "files" / "graph-metadata.json").read_text())["graphs"]
    assert entry["scan"] == "artifacts/demo/transcoders"


def test_an_unknown_prompt_is_told(
    viewer_root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(viewer_root)
    assert main(["serve", PROFILE, "--prompt", "abc", "--port", "0"]) == 1
    assert "There is no graph of abc; `python -m store list" in capsys.readouterr().err


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_one_command_serves_until_it_is_stopped(
    viewer_root: Path, tmp_path: Path, stop: signal.Signals
) -> None:
    server = subprocess.Popen(
        [
            sys.executable,
            "-u",
            "-m",
            "pipeline.exchange",
            "serve",
            PROFILE,
            "--port",
            "0",
            "--variant",
            "base",
        ],
        cwd=viewer_root,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        serves_and_stops(server, stop, tmp_path)
    finally:
        server.kill()
        server.communicate()


def serves_and_stops(server: subprocess.Popen[str], stop: signal.Signals, temporary: Path) -> None:
    """Ask a server for its page and a graph, then stop it."""
    assert server.stdout is not None
    lines = iter(server.stdout.readline, "")
    found = (re.search(r"http://127\.0\.0\.1:\d+", line) for line in lines)
    address = next(match[0] for match in found if match)
    with urllib.request.urlopen(f"{address}/index.html", timeout=60) as answer:
        assert b"initCg" in answer.read()
    with urllib.request.urlopen(f"{address}/data/graph-metadata.json", timeout=60) as answer:
        slug = json.load(answer)["graphs"][0]["slug"]
    with urllib.request.urlopen(f"{address}/graph_data/{slug}.json", timeout=60) as answer:
        assert json.load(answer)["nodes"]
    assert list(temporary.iterdir())
    server.send_signal(stop)
    out, err = server.communicate(timeout=60)
    assert (server.returncode, err) == (0, "")
    assert "Stopped." in out
    assert not list(temporary.iterdir())


@pytest.mark.browser
def test_circuit_tracers_own_scripts_find_graph_and_cards(served: Served, chromium: Any) -> None:
    # Its drawing needs d3 from the web; what asks for our files does not.
    address = served.origin
    page = open_page(chromium)
    page.route("**/*", lambda route: route.continue_() if address in route.request.url else route.abort())
    page.goto(f"{address}/index.html")
    page.wait_for_function("() => window.util && window.initFeatureExamples && window.isLocalServing")
    found = page.evaluate(
        """async () => {
          const {graphs} = await util.getFile('./data/graph-metadata.json', false)
          const graph = await util.getFile(`./graph_data/${graphs[1].slug}.json`)
          const node = graph.nodes.find(d => d.feature_type == 'cross layer transcoder')
          const card = await util.getFile(`${graph.metadata.scan}/${node.feature}.json`)
          return {node: node.node_id, pair: util.cantorUnpair(node.feature), card}
        }"""
    )
    page.context.close()
    layer, feature = found["pair"]
    assert found["node"].startswith(f"{layer}_{feature}_")
    assert found["card"]["index"] == feature
