"""What an import adds, to what, and under which name; all of it or nothing."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from circuit_tracer.graph import Graph

from pipeline.exchange import importing
from pipeline.exchange.importing import Imported, import_graph
from pipeline.exchange.stored_graphs import StoredGraphs
from pipeline.models.tokenizer import load_tokenizer
from pipeline.text.tokens import encode_text
from store.base.errors import UserError
from store.base.hashing import file_digest, prompt_hash
from store.collections.reader import Collection, open_collection
from store.collections.writer import write_collection
from store.format.integrity import verify
from store.schema.graphs import FULL_GRAPHS, GRAPHS
from tests.support.exchange_project import PROFILE, Project


def take(project: Project, graph: Graph, name: str, **options: Any) -> Imported:
    """Import a graph through a file of that name."""
    path = project.root / f"{name}.pt"
    graph.to_pt(str(path))
    return import_graph(path, PROFILE, project.params, **options)


def changed(graph: Graph, **entries: Any) -> Graph:
    """The same graph with other entries."""
    content = {name: value for name, value in vars(graph).items() if name != "n_pos"}
    return Graph(**content | entries)


def imported(project: Project) -> dict[str, Collection]:
    folder = project.root / "artifacts" / PROFILE / "imported"
    return {kind: open_collection(folder / kind) for kind in ("graphs", "full_graphs")}


def files(project: Project) -> dict[str, str]:
    """Digests of every imported file."""
    folder = project.root / "artifacts" / PROFILE / "imported"
    return {str(path.relative_to(folder)): file_digest(path) for path in folder.rglob("*") if path.is_file()}


def test_a_second_file_is_added_to_the_first(project: Project) -> None:
    take(project, project.graph("base"), "one")
    first = imported(project)["full_graphs"].item(project.first, "one")
    other = project.prompts[1].hash
    take(project, project.graph("base", other), "two")
    for kind, collection in imported(project).items():
        assert {(item.prompt_hash, item.variant) for item in collection.items()} == {
            (project.first, "one"),
            (other, "two"),
        }
        assert verify(collection.path) == [], kind
    again = imported(project)["full_graphs"].item(project.first, "one")
    assert {name: values.tobytes() for name, values in again.arrays.items()} == {
        name: values.tobytes() for name, values in first.arrays.items()
    }


def test_the_same_graph_again_changes_nothing(project: Project) -> None:
    take(project, project.graph("base"), "one")
    before = (project.root / "artifacts" / PROFILE / "imported").stat().st_ino
    assert take(project, project.graph("base"), "one").unchanged
    assert (project.root / "artifacts" / PROFILE / "imported").stat().st_ino == before


def test_the_bytes_do_not_depend_on_the_order(project: Project) -> None:
    take(project, project.graph("base"), "one")
    take(project, project.graph("general@1.0"), "two")
    found = files(project)
    take(project, project.graph("base"), "one", replace=True, variant="three")  # and away again
    take(project, project.graph("general@1.0"), "two")
    assert {kind: len(each) for kind, each in imported(project).items()} == {"graphs": 3, "full_graphs": 3}
    assert found.keys() == files(project).keys()


def test_another_graph_needs_leave_to_take_a_place(project: Project) -> None:
    take(project, project.graph("base"), "one")
    before = files(project)
    with pytest.raises(UserError, match=r"--variant, or take its place with --replace"):
        take(project, project.graph("general@1.0"), "one")
    assert files(project) == before
    take(project, project.graph("general@1.0"), "one", variant="mine")
    assert imported(project)["graphs"].variants(project.first) == ["mine", "one"]
    assert not take(project, project.graph("general@1.0"), "one", replace=True).unchanged
    kept = imported(project)["graphs"].item(project.first, "one").scalars["n_selected"]
    assert kept == len(project.graph("general@1.0").selected_features)


def test_other_thresholds_make_the_items_anew(project: Project) -> None:
    take(project, project.graph("base"), "one")
    path = project.root / "params.yaml"
    path.write_text(path.read_text().replace("keep_node_threshold: 0.9", "keep_node_threshold: 0.8"))
    before = len(imported(project)["graphs"].item(project.first, "one").arrays["node_kind"])
    assert not take(project, project.graph("base"), "one").unchanged
    assert len(imported(project)["graphs"].item(project.first, "one").arrays["node_kind"]) < before


def test_a_failure_midway_leaves_both_collections(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    take(project, project.graph("base"), "one")
    before = files(project)

    def full(path: Path, schema: Any, items: Any, **others: Any) -> None:
        if schema is FULL_GRAPHS:
            raise OSError(28, "No space left on device")
        write_collection(path, schema, items, **others)

    monkeypatch.setattr(importing, "write_collection", full)
    with pytest.raises(OSError, match="No space"):
        take(project, project.graph("general@1.0"), "two")
    assert files(project) == before
    left = [path.name for path in (project.root / "artifacts" / PROFILE).iterdir()]
    assert not [name for name in left if name.endswith(".aside")]


def test_of_two_imports_at_a_time_neither_is_lost(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    make, second = importing.items_of, threading.Event()

    def slowly(*arguments: Any, **options: Any) -> Any:
        second.wait(1.0)  # time for the other one to read what there is
        return make(*arguments, **options)

    monkeypatch.setattr(importing, "items_of", slowly)
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(take, project, project.graph("base"), name) for name in ("one", "two")]
        assert [job.result().unchanged for job in jobs] == [False, False]
    assert imported(project)["graphs"].variants(project.first) == ["one", "two"]
    assert imported(project)["full_graphs"].variants(project.first) == ["one", "two"]


def test_a_prompt_is_known_by_its_tokens(project: Project) -> None:
    graph = project.graph("base")
    assert take(project, graph, "one").known_prompt
    # The text says something else; the ids decide.
    assert take(project, changed(graph, input_string="else"), "two").prompt_hash == project.first


def test_a_prompt_of_its_own_has_the_hash_that_the_pipeline_would_give_it(project: Project) -> None:
    graph = project.graph("base")
    text = "User: I have some fever."
    ids = torch.tensor(encode_text(load_tokenizer(project.manifest), text))
    tokens = torch.cat([ids, ids[-1:].repeat(len(graph.input_tokens))])[: len(graph.input_tokens)]
    done = take(project, changed(graph, input_tokens=tokens), "one")
    assert not done.known_prompt
    tokenizer = load_tokenizer(project.manifest)
    rest = tokenizer.decode(tokens[1:])
    assert encode_text(tokenizer, rest) == tuple(tokens.tolist())
    assert done.prompt_hash == prompt_hash(rest)
    view = StoredGraphs(PROFILE, imported=True)
    assert view.text(view.item(done.prompt_hash, "one")) == graph.input_string


def test_ids_that_no_text_gives_have_a_hash_of_their_own(project: Project) -> None:
    graph = project.graph("base")
    n = len(graph.input_tokens)
    hashes = {
        take(project, changed(graph, input_tokens=torch.full((n,), token)), "one").prompt_hash
        for token in (1, 2)  # special tokens alone
    }
    assert len(hashes) == 2


def test_another_models_name_is_told(project: Project) -> None:
    graph = project.graph("base")
    config = type(graph.cfg)(**vars(graph.cfg) | {"model_name": "google/gemma"})
    assert take(project, changed(graph, cfg=config), "one").other_model == "google/gemma"
    assert take(project, graph, "two").other_model is None


def test_graphs_of_an_older_format_are_made_anew(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    take(project, project.graph("general@1.0"), "one")
    graphs = imported(project)["graphs"]
    wanted = graphs.item(project.first, "one")
    old = GRAPHS.at(1)
    assert old.arrays.keys() < wanted.arrays.keys()
    arrays = {name: wanted.arrays[name] for name in old.arrays}
    scalars = {name: wanted.scalars[name] for name in old.scalars}
    item = type(wanted)(**vars(wanted) | {"arrays": arrays, "scalars": scalars})
    with monkeypatch.context() as patch:
        patch.setattr("store.format.artifact.FORMAT_VERSION", 1)
        write_collection(graphs.path, old, [item], provenance=graphs.provenance)
    assert imported(project)["graphs"].schema.arrays.keys() == old.arrays.keys()
    take(project, project.graph("base"), "two")
    found = imported(project)["graphs"].item(project.first, "one")
    assert {name: values.tobytes() for name, values in found.arrays.items()} == {
        name: values.tobytes() for name, values in wanted.arrays.items()
    }
    assert len(imported(project)["graphs"]) == 2


def test_nothing_imported_yet_says_how(project: Project) -> None:
    with pytest.raises(FileNotFoundError, match=r"pipeline.exchange import FILE.pt --profile tiny"):
        StoredGraphs(PROFILE, imported=True).item(project.first, "base")


def test_an_imported_graph_is_found_where_the_pipeline_has_none(project: Project) -> None:
    take(project, project.graph("base"), "general@0.5")
    with pytest.raises(UserError, match="add --imported"):
        StoredGraphs(PROFILE).item(project.first, "general@0.5")
    with pytest.raises(UserError, match=f"there are {project.first} general@0.5"):
        StoredGraphs(PROFILE, imported=True).item(project.first, "other")
