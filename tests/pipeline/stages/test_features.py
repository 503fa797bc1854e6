"""What the stage reads and reports."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import xarray as xr

from pipeline.analysis import edges as edge_module
from pipeline.analysis.feature_inputs import Contexts
from pipeline.analysis.scores import READ, feature_key
from pipeline.items.executor import in_this_process
from pipeline.items.subject import Subject
from pipeline.items.taken_over import TABLES
from pipeline.items.units import ItemName, Unit
from pipeline.params.runtime import ExecutorName, RuntimeParams
from pipeline.stages import features as features_stage
from pipeline.stages.features import (
    NULLS,
    changes_of,
    earlier_cells,
    edges_of,
    null_changes_of,
    scored_graphs,
    spread_of,
    stored,
    summary,
    weights_of,
)
from store.base.errors import NotInStoreError
from store.collections.reader import open_collection
from store.collections.writer import write_collection
from store.datasets.groups import write_dataset
from store.documents.failures import Failure
from store.documents.prompts import read_prompts
from store.schema.adapters import ADAPTERS
from store.schema.features import FEATURES
from store.schema.graphs import GRAPHS
from store.schema.vocabulary import ALL, CAUSES, SCORES
from tests.support.feature_builders import PARAMS, edges_from, make_change, make_edges, make_prompt, promote
from tests.support.places import ROOT
from tests.support.planted_features import (
    ADAPTED,
    N_FEATURES,
    PROMPTS,
    activations,
    graphs,
    groups,
    noise,
    plant,
)
from tests.support.spread_calls import sums, sums_of

OLD = ROOT / "tests/store/data/v1/graphs"


def test_graphs_of_an_older_version_are_refused_in_one_sentence() -> None:
    """Their scores are not stored, and leaving them out would look like inactive features."""
    with pytest.raises(NotInStoreError, match=r"older version.*dvc repro"):
        next(scored_graphs(open_collection(OLD)))


def test_prompts_weigh_alike_unless_their_pivotality_is_asked_for(demo_root: Path) -> None:
    folder = demo_root / "artifacts" / "demo"
    assert weights_of(folder, ADAPTED, PARAMS) is None
    found = weights_of(folder, ADAPTED, PARAMS.model_copy(update={"by_pivotality": True}))
    prompts = read_prompts(folder / "prompts.json")
    assert found is not None
    assert len(found) == len(prompts) - 1, "one is not told"
    assert np.mean(list(found.values())) == pytest.approx(1)


def test_the_arrays_that_are_ranked_are_in_the_schema() -> None:
    assert set(READ) <= set(GRAPHS.arrays)
    assert not any(name.startswith("edge") for name in READ)


def test_edges_are_read_an_item_at_a_time_and_nothing_else() -> None:
    graphs = open_collection(OLD)
    found = edges_of(graphs)
    assert {prompt: list(variants) for prompt, variants in found.traced.items()} == {
        prompt: graphs.variants(prompt) for prompt in graphs.prompts()
    }
    prompt = graphs.prompts()[0]
    item = found.read(prompt, graphs.variants(prompt)[0])
    assert set(item.arrays) == set(edge_module.READ) <= set(GRAPHS.arrays)
    assert 0 <= item.scalars["kept_edge_score"] <= 1


def test_changes_are_read_without_their_arrays_and_may_be_absent(tmp_path: Path) -> None:
    assert list(changes_of(tmp_path / "adapters")) == []
    items = []
    for number, share in ((0, 0.25), (1, 0.5)):
        arrays = {
            name: np.zeros([len(CAUSES) if dim == "cause" else 0 for dim in spec.dims], spec.dtype)
            for name, spec in ADAPTERS.arrays.items()
        }
        items.append(replace(make_change(make_prompt(number), ADAPTED, share), arrays=arrays))
    write_collection(tmp_path / "adapters", ADAPTERS, items, provenance={})
    found = list(changes_of(tmp_path / "adapters"))
    assert sorted(item.scalars["error_share_of_change"] for item in found) == [0.25, 0.5]
    assert all(not item.arrays for item in found)


def test_what_a_dataset_was_made_of_is_found_in_it(tmp_path: Path) -> None:
    """To the bit, by key: one of another key, or of a dataset that tells none, is not."""
    keys = {"contexts": {"base": "a" * 64}, "promoted": {"base": "b" * 64}}
    tables, contexts = with_contexts()
    write_dataset(tmp_path / "features", FEATURES, tables, provenance={"items": keys})
    write_dataset(tmp_path / "older", FEATURES, tables, provenance={})
    cards = tables["cards"]
    layer, index = cards["layer"].values, cards["index"].values
    for kind, made_of in (("contexts", contexts), ("promoted", promote(layer, index))):
        name = ItemName(key=keys[kind]["base"], prompt_hash="0123456789ab", variant="base")
        (item,) = stored(kind, tmp_path / "features", [name, replace(name, key="c" * 64)])
        assert (item.key, item.prompt_hash, item.variant) == (name.key, name.prompt_hash, "base")
        arrays = {key: value for key, value in vars(made_of).items() if key != "variant"}
        assert item.arrays.keys() == arrays.keys()
        for key, value in arrays.items():
            assert item.arrays[key].dtype == value.dtype
            np.testing.assert_array_equal(item.arrays[key], value)
        assert list(stored(kind, tmp_path / "older", [name])) == []


def test_cells_of_the_last_dataset_are_found_by_what_they_were_made_of(tmp_path: Path) -> None:
    """None where there is no dataset, or one that tells nothing of them."""
    runtime = RuntimeParams(seed=0, threads=1)
    tables, _ = with_contexts()
    keys = feature_key(tables["ranking"]["layer"].values, tables["ranking"]["index"].values)
    asked = ("evil-safe|base", ALL, "a digest", keys)
    told: list[dict[str, Any]] = [{}, {"cells": {"direct": {f"evil-safe|base {ALL}": "a digest"}}}]
    for made_of in told:
        write_dataset(tmp_path / "features", FEATURES, tables, provenance=made_of)
        found = earlier_cells(tmp_path / "features", runtime)
        assert list(found) == list(SCORES)
        assert found["influence"].find(*asked) is None
        assert (found["direct"].find(*asked) is None) is (not made_of)
    columns = found["direct"].find(*asked) or {}
    table = tables["ranking"].sel(contrast="evil-safe|base", domain=ALL)
    of_features = {"low", "high", "n_effective", "sign_consistency", "p", "p_labels", "q"}
    assert columns.keys() == of_features | {"stability"}
    for name, values in columns.items():
        np.testing.assert_array_equal(values, np.atleast_1d(table[name].values))
    assert found["direct"].made_of == {f"evil-safe|base {ALL}": "a digest"}
    assert all(each.find(*asked) is None for each in earlier_cells(tmp_path / "none", runtime).values())


def test_changes_by_random_adapters_are_taken_over_where_their_graphs_are_the_same(
    demo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, runtime = open_collection(demo_root / "artifacts/demo/graphs"), RuntimeParams(seed=0, threads=1)
    one, other = [variant for variant in found.variants() if variant != "base"][:2]
    made, made_of = null_changes_of(tmp_path / "none", found, [one], runtime)
    assert made["n"].values.min() > 0
    tables, _ = with_contexts()

    def write(name: str, changes: xr.Dataset) -> dict[str, bytes]:
        folder, told = tmp_path / name, {TABLES: {NULLS: made_of}}
        write_dataset(folder, FEATURES, tables | {"null_changes": changes}, provenance=told)
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.*")}

    first = write("features", made)

    def compared(*_: object) -> None:
        raise AssertionError("compared")

    monkeypatch.setattr(features_stage, "null_changes", compared)
    again, made_again = null_changes_of(tmp_path / "features", found, [one], runtime)
    assert made_again == made_of
    assert write("again", again) == first
    with pytest.raises(AssertionError, match="compared"):
        null_changes_of(tmp_path / "features", found, [other], runtime)


def with_contexts() -> tuple[dict[str, xr.Dataset], Contexts]:
    """Tables with contexts of features that fire on prompts and of some that do not."""
    values = noise(0)
    contexts = Contexts(
        variant="base",
        keys=feature_key(np.array([0, 1]), np.array([4, 1000])),
        histogram=np.arange(2 * PARAMS.bins, dtype=np.int32).reshape(2, -1),
        text=np.array([[5, -1], [6, 2]], np.int32),
        peak=np.array([[1, 0], [2, 3]], np.int32),
        token=np.arange(2 * 2 * PARAMS.window, dtype=np.int32).reshape(2, 2, -1),
        activation=np.ones((2, 2, PARAMS.window), np.float32),
    )
    tables = groups(graphs(values, "base"), activations(values, "base"), [contexts])
    return tables, contexts


def test_metrics_count_what_every_score_finds() -> None:
    base, adapted = noise(0), plant(noise(1))
    tables = groups(
        graphs(base, "base") + graphs(adapted, ADAPTED),
        activations(base, "base") + activations(adapted, ADAPTED),
    )
    metrics = summary(tables)
    assert list(metrics) == [*SCORES, "edges"]
    for score in SCORES:
        found = metrics[score][f"{ADAPTED}-base"]
        assert found["scored_prompts"] == len(PROMPTS)
        assert found["left_out_prompts"] == 0
        assert found["tested_features"] == N_FEATURES  # selected or not
        assert 1 <= found["found_features"] <= 3
    assert list(metrics["activation"]) == [f"{ADAPTED}-base"]


def test_metrics_count_pairs_of_edges() -> None:
    prompts = [make_prompt(i) for i in range(10)]
    stays, grows = ((0, 1, 1), (1, 2, 1)), ((0, 1, 2), (1, 2, 1))
    items = [
        make_edges(p, v, {stays: 1.0, grows: 1.0 + (v == ADAPTED)}, kept=0.5 if p is prompts[3] else 1.0)
        for p in prompts
        for v in ("base", ADAPTED)
    ]
    keys = feature_key(np.array([0, 0, 1]), np.array([1, 2, 1]))
    by_hash = {prompt.hash: prompt for prompt in prompts}
    table = edge_module.rank_edges(edges_from(items), by_hash, keys, PARAMS, seed=0)
    scores = groups(graphs(noise(0), "base"), activations(noise(0), "base"))
    assert summary(scores | {"ranking_edges": table})["edges"] == {
        f"{ADAPTED}-base": {
            "scored_prompts": 10,
            "left_out_prompts": 0,
            "tested_pairs": 2,
            "found_pairs": 1,
            "pairs": 2,
            "smallest_kept_edge_score": 0.5,
        }
    }


@pytest.mark.parametrize("name", ["local", "processes", "dask"])
def test_cells_are_tested_by_the_executor_that_is_asked_for(
    name: ExecutorName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked: list[Unit] = []

    def executor(units: Sequence[Unit], *rest: Any) -> list[Failure]:
        asked.extend(units)
        return in_this_process(units, *rest)

    runtime = RuntimeParams(seed=0, threads=1, executor=name)
    subject = cast(Subject, SimpleNamespace(runtime=runtime, executor=executor))
    found = dict(spread_of(subject)(sums, sums_of(3), "sums"))
    assert found[2]["sum"].tolist() == [2, 5, 9]
    assert len(asked) == (0 if name == "local" else 3)
