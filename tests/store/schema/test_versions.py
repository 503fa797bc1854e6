"""Artifacts of earlier format versions: read as they are, without what came later."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.analysis.error_split import split_edges
from store import InvalidItemError, NotInStoreError, UnknownFormatError, open_collection, open_dataset
from store.collections.item import Item
from store.collections.writer import ragged_dims, write_collection
from store.datasets.groups import write_dataset
from store.documents.prompts import Prompt, read_prompts, write_prompts
from store.format import artifact
from store.format.integrity import verify
from store.schema.adapters import ADAPTERS
from store.schema.dose import DOSE
from store.schema.features import FEATURES
from store.schema.graphs import GRAPHS
from store.schema.rates import RATES
from store.schema.registry import COLLECTIONS, DATASETS
from store.schema.specs import FORMAT_VERSION, CollectionSchema, DatasetSchema, array, since
from store.views.graph import GraphView
from tests.support.graph_cases import graph_item, make_case, with_adapters
from tests.support.make_sample import DATA
from tests.support.random_items import blank_scores, make_groups, make_item, make_items, same_item

OLD_COLLECTIONS = {kind: schema.at(1) for kind, schema in COLLECTIONS.items() if schema.at(1).arrays}


@pytest.fixture
def as_version_1(monkeypatch, tmp_path):
    """Writes artifacts as the code of version 1 did: its arrays, its number."""

    def write(schema: CollectionSchema | DatasetSchema, items: Sequence[Item] | None = None) -> Path:
        path = tmp_path / schema.kind
        with monkeypatch.context() as patch:
            patch.setattr(artifact, "FORMAT_VERSION", 1)
            if isinstance(schema, DatasetSchema):
                write_dataset(path, schema.at(1), make_groups(schema.at(1)), provenance={})
            else:
                items = make_items(schema.at(1), 5) if items is None else items
                write_collection(path, schema.at(1), items, provenance={})
        return path

    return write


def test_every_array_came_with_a_version_that_is_read() -> None:
    specs = [
        *(schema.arrays | schema.scalars for schema in COLLECTIONS.values()),
        *(group for schema in DATASETS.values() for group in schema.groups.values()),
    ]
    assert {spec.since for group in specs for spec in group.values()} == set(range(1, FORMAT_VERSION + 1))
    for collection in COLLECTIONS.values():
        assert collection.at(FORMAT_VERSION) == replace(collection, former={})
        former = collection.former.values()
        assert all(spec.until is not None and spec.until < FORMAT_VERSION for spec in former)
        written = (collection.arrays | collection.scalars).values()
        assert all(spec.until is None for spec in written)
    for dataset in DATASETS.values():
        assert dataset.at(FORMAT_VERSION) == dataset


def test_version_1_is_what_the_committed_sample_has() -> None:
    expected = json.loads((DATA / "v1" / "expected.json").read_text(encoding="utf-8"))
    assert set(OLD_COLLECTIONS) == {"candidates", "graphs", "full_graphs", "activations", "samples"}
    for kind in ("graphs", "full_graphs", "activations"):
        for item in expected[kind]:
            assert item["arrays"].keys() == OLD_COLLECTIONS[kind].arrays.keys()
            assert item["scalars"].keys() == OLD_COLLECTIONS[kind].scalars.keys()
        dims = open_collection(DATA / "v1" / kind)
        assert ragged_dims(dims.schema) == ragged_dims(OLD_COLLECTIONS[kind])
    assert list(FEATURES.at(1).groups) == ["cards", "contexts", "ranking", "situations"]


@pytest.mark.parametrize("kind", OLD_COLLECTIONS)
def test_collections_of_version_1_read_as_written(as_version_1, kind) -> None:
    path = as_version_1(COLLECTIONS[kind])
    collection = open_collection(path)
    assert collection.schema == OLD_COLLECTIONS[kind]
    for item in make_items(OLD_COLLECTIONS[kind], 5):
        assert same_item(collection.item(item.prompt_hash, item.variant), item)
    assert list(collection.index)[4:] == list(OLD_COLLECTIONS[kind].scalars)
    assert verify(path) == []


def test_what_came_later_is_said_to_be_later(as_version_1) -> None:
    collection = open_collection(as_version_1(GRAPHS))
    (prompt, *_), variant = collection.prompts(), "base"
    with pytest.raises(NotInStoreError, match=r"no array influence: it was made by an older .*`dvc repro`"):
        collection.item(prompt, variant, ["direct", "influence"])
    with pytest.raises(NotInStoreError, match="no array influences; it holds token, "):
        collection.item(prompt, variant, ["influences"])
    features = as_version_1(FEATURES)
    assert open_dataset(features, "ranking").sizes
    for group in ("ranking_influence", "dictionary"):
        with pytest.raises(NotInStoreError, match=f"no group {group}: it was made by an older .*`dvc repro`"):
            open_dataset(features, group)
    with pytest.raises(NotInStoreError, match="no group rankings; it has cards, "):
        open_dataset(features, "rankings")


def test_a_graph_of_version_1_has_its_tables_and_says_what_it_lacks() -> None:
    collection = open_collection(DATA / "v1" / "graphs")
    graph = GraphView(collection.item(collection.prompts()[0], "base"))
    assert len(graph.edges) == len(graph.item.arrays["edge_weight"])
    assert graph.direct.shape == (len(graph.targets), len(graph.active))
    later = (
        *("influence", "total_effect", "row_unselected", "row_constant", "target_error_share"),
        *("unselected_influence", "unselected_total_effect", "target_unselected_share"),
        *("adapters", "adapter_edges", "adapter_direct"),
    )
    for name in later:
        with pytest.raises(
            NotInStoreError, match=rf"{graph.prompt_hash}, base .* older version .*`dvc repro`"
        ):
            getattr(graph, name)


@pytest.mark.parametrize("version", ["v2", "v3"])
def test_outcomes_were_once_in_the_samples(version) -> None:
    samples = open_collection(DATA / version / "samples")
    told = samples if version == "v2" else open_collection(DATA / version / "outcomes")
    prompt = samples.prompts()[0]
    assert ("sample_outcome" in samples.schema.arrays) == (version == "v2")
    codes = told.item(prompt, "base").arrays["sample_outcome"]
    assert codes.dtype == np.int8
    if version == "v3":
        assert list(told.schema.arrays) == ["sample_outcome"]
        with pytest.raises(NotInStoreError, match=r"no array sample_outcome: version 3 has it no more"):
            samples.item(prompt, "base", ["sample_outcome"])


def test_damage_in_version_1_names_the_right_prompts(as_version_1) -> None:
    # `ragged_dim` is another in each version: a wrong place there would name the other prompt.
    sizes = {"000000000000": (9, 0), "000000000001": (0, 9)}
    items = [
        make_item(GRAPHS.at(1), prompt, "base", lengths={"edge": edges, "node": 1, "position": positions})
        for prompt, (edges, positions) in sizes.items()
    ]
    path = as_version_1(GRAPHS, items)
    for name, prompt in (("edge_weight", "000000000000"), ("token", "000000000001")):
        (chunk,) = (path / "000" / name).glob("c*")
        whole = chunk.read_bytes()
        chunk.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        (line,) = verify(path)
        assert line.endswith(f"array {name} of prompt {prompt}")
        chunk.write_bytes(whole)


def test_a_group_that_got_an_array_later_reads_without_it(as_version_1, monkeypatch) -> None:
    path = as_version_1(RATES)
    more = since(2, {"more": array("variant", "float64", "rate", "what came later")})
    later = replace(RATES, groups={**RATES.groups, "rates": {**RATES.groups["rates"], **more}})
    monkeypatch.setitem(DATASETS, RATES.kind, later)
    assert set(open_dataset(path, "rates").variables) == set(RATES.groups["rates"])


@pytest.mark.parametrize("version", [0, -1, FORMAT_VERSION + 1, "1", 1.0, True, None])
def test_versions_that_this_code_does_not_know_are_refused(as_version_1, version) -> None:
    path = as_version_1(COLLECTIONS["candidates"])
    document = json.loads((path / "zarr.json").read_text())
    document["attributes"]["format_version"] = version
    (path / "zarr.json").write_text(json.dumps(document))
    words = rf"format version {version}, this code reads 1 to {FORMAT_VERSION}; run `dvc repro`[^.]*\.$"
    with pytest.raises(UnknownFormatError, match=words):
        open_collection(path)


def test_new_artifacts_hold_everything(tmp_path) -> None:
    item = make_item(GRAPHS, "0" * 12, "base")
    arrays = {name: array for name, array in item.arrays.items() if GRAPHS.arrays[name].since == 1}
    old = replace(item, arrays=arrays)
    with pytest.raises(InvalidItemError, match=r"array adapter_component, adapter_direct, .* missing"):
        write_collection(tmp_path / "graphs", GRAPHS, [old], provenance={})


def test_lengths_that_no_array_alone_has_are_kept(tmp_path) -> None:
    # `selected` and `cause` are dims of pairs only; without targets nothing else tells them.
    for schema, dim, name in ((GRAPHS, "selected", "influence"), (ADAPTERS, "cause", "change")):
        for n_targets in (0, 2):
            lengths = {"target": n_targets} | ({dim: 5} if dim == "selected" else {})
            item = make_item(schema, "0" * 12, "base", lengths=lengths)
            write_collection(tmp_path / "c", schema, [item], provenance={})
            back = open_collection(tmp_path / "c").item("0" * 12, "base")
            assert same_item(back, item)
            assert back.arrays[name].shape == (n_targets, 5 if dim == "selected" else 7)


def test_causes_are_all_there(tmp_path) -> None:
    item = make_item(ADAPTERS, "0" * 12, "a@1.0", lengths={"cause": 6})
    with pytest.raises(InvalidItemError, match="change has length 6 along cause, not 7"):
        write_collection(tmp_path / "c", ADAPTERS, [item], provenance={})


def test_a_dose_item_is_a_graph(tmp_path) -> None:
    assert DOSE.arrays.keys() == GRAPHS.arrays.keys()
    assert DOSE.scalars.keys() == GRAPHS.scalars.keys()
    item = with_adapters(graph_item(make_case(1)))
    write_collection(tmp_path / "dose", DOSE, [item], provenance={})
    graph = GraphView(open_collection(tmp_path / "dose").item(item.prompt_hash, "base"))
    assert len(graph.adapters) == 6
    assert len(split_edges(graph)) >= len(graph.edges)


def test_scores_for_hand_made_items_follow_the_schema() -> None:
    arrays = graph_item(make_case(1)).arrays
    assert {name: a.shape for name, a in blank_scores(arrays).items()} == {
        name: arrays[name].shape for name, spec in GRAPHS.arrays.items() if spec.since > 1
    }


def test_prompts_have_a_version_of_their_own(tmp_path) -> None:
    prompt = Prompt(
        hash="0" * 12,
        name="n",
        situation="s",
        domain=None,
        held_out=False,
        tags=("a",),
        text="t",
        token_ids=(1,),
        tokens=("t",),
        source="f:1",
    )
    path = tmp_path / "prompts.json"
    write_prompts(path, [prompt])
    document = json.loads(path.read_text())
    assert document["format_version"] == 1  # its layout has not changed since
    assert read_prompts(path) == (prompt,)
    path.write_text(json.dumps({**document, "format_version": 9}))
    with pytest.raises(UnknownFormatError, match=r"version 9, this code reads 1; run `dvc repro`"):
        read_prompts(path)
