"""The stage on a small random subject: from prompts with partners to circuits beside random ones."""

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from pipeline.behaviours.protocol import UNNAMED
from pipeline.params.project import Params
from pipeline.stages import behaviour_interventions, behaviour_prompts
from store.collections.reader import open_collection
from store.datasets.groups import open_dataset, write_dataset
from store.documents.behaviour_prompts import BEHAVIOUR_PROMPTS, read_behaviour_prompts
from store.documents.failures import read_failures
from store.documents.manifest import Manifest
from store.schema.circuits import CIRCUITS
from tests.support.behaviour_stages import FOLDER, NAMES, make_params, make_project, run_each

FEW = {
    **{"features": 2, "controls": 3, "ks": [1, 4], "random_circuits": 3, "bootstrap": 50, "flips": 100},
    **{"min_active": 3, "min_groups": 2},
}
OUT = FOLDER / "behaviour_interventions"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manifest: Manifest) -> Params:
    make_project(tmp_path, monkeypatch, manifest)
    return params(*NAMES)


def params(*names: str) -> Params:
    return make_params(*names, train=12, test=6, behaviour_interventions=FEW)


def write_circuits(features: list[tuple[int, int]]) -> None:
    """What stage `circuits` would have found of agreement in base, and something else of another variant."""
    rows = [("base", layer, index, 3.0 - place) for place, (layer, index) in enumerate(features)]
    rows.append(("general@1.0", 0, 0, 9.0))
    groups = {name: _empty(name) for name in ("summary", "edges", "prompts")}
    circuit = _empty("circuit", len(rows))
    names = ("variant", "layer", "index", "total_effect")
    for name, column in zip(names, zip(*rows, strict=True), strict=True):
        circuit[name] = ("row", np.array(column, circuit[name].dtype))
    circuit["behaviour"] = ("row", np.array(["agreement"] * len(rows), object))
    write_dataset(FOLDER / CIRCUITS.kind, CIRCUITS, {**groups, "circuit": circuit}, provenance={})


def _empty(group: str, n: int = 0) -> xr.Dataset:
    kinds = {"str": object}
    return xr.Dataset(
        {
            name: (spec.dims, np.zeros([n] * len(spec.dims), kinds.get(spec.dtype, spec.dtype)))
            for name, spec in CIRCUITS.groups[group].items()
        }
    )


def test_circuits_found_on_train_are_measured_on_test(
    project: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    run_each(behaviour_prompts, project)
    write_circuits([])
    behaviour_interventions.main("mine", project)
    said = capsys.readouterr().out
    assert "decision_features: 24 computed" in said
    assert "partnered_effects: 12 computed" in said
    assert read_failures(FOLDER / "failures" / "behaviour_interventions.json") == ()
    prompts = {
        (one.behaviour, one.hash): one for one in read_behaviour_prompts(FOLDER / BEHAVIOUR_PROMPTS, NAMES)
    }
    table = open_dataset(OUT, "prompts").load()
    assert table.sizes["prompt"] == 12
    for row in range(12):
        one = prompts[str(table["behaviour"].values[row]), str(table["prompt"].values[row])]
        assert one.split == "test"
        paired = not str(table["unpaired"].values[row])
        assert paired == bool(np.isfinite(table["partner_contrast"].values[row]))
    n_paired = int((table["unpaired"].values == "").sum())
    assert n_paired > 0
    # What both of agreement's prompts say of their partner is one number with two signs.
    of = {str(hash_): row for row, hash_ in enumerate(table["prompt"].values)}
    for row in np.flatnonzero((table["behaviour"].values == "agreement") & (table["unpaired"].values == "")):
        other = of[str(table["partner"].values[row])]
        mine, theirs = (prompts["agreement", str(table["prompt"].values[one])] for one in (row, other))
        if (mine.correct_ids[0], mine.incorrect_ids[0]) == (theirs.incorrect_ids[0], theirs.correct_ids[0]):
            both = float(table["partner_contrast"].values[row]), -float(table["contrast"].values[other])
            assert both[0] == pytest.approx(both[1], abs=1e-4)
    circuits, layers = open_dataset(OUT, "circuits").load(), open_dataset(OUT, "layers").load()
    assert circuits["source"].values.tolist() == ["importance"] * 2
    assert circuits["circuit"].values.tolist() == [*NAMES, "swapped"]
    of_all = layers["share"].sel(part="stream").values[:, -1]
    np.testing.assert_allclose(of_all[np.isfinite(of_all)], 1.0, atol=1e-4)
    cells, trials = open_dataset(OUT, "cells").load(), open_dataset(OUT, "trials").load()
    measured = np.unique(cells["trial"].values)
    assert measured.tolist() == np.flatnonzero(trials["n_prompts"].values).tolist()
    whose = [
        of["behaviour"].values[cells[name].values] for name, of in (("trial", trials), ("prompt", table))
    ]
    assert (whose[0] == whose[1]).all()
    metrics = json.loads((FOLDER / "metrics" / "behaviour_interventions.json").read_text(encoding="utf-8"))
    assert list(metrics) == list(NAMES)
    assert metrics["agreement"]["test prompts"] == 6
    swapped = open_collection(FOLDER / "circuit_logits")
    assert len(swapped) == 12

    # The same again computes nothing; a circuit of the store is taken, and computes its own alone.
    write_circuits([(2, 5), (0, 3)])
    behaviour_interventions.main("mine", project)
    said = capsys.readouterr().out
    assert "decision_features: 0 computed, 24 from the cache" in said
    circuits = open_dataset(OUT, "circuits").load()
    assert circuits["source"].values.tolist() == ["importance", "circuits"]
    assert circuits["n_features"].values[1].tolist()[1] == 2
    trials = open_dataset(OUT, "trials").load()
    mine = (trials["behaviour"].values == "agreement") & (trials["circuit"].values == "agreement")
    found = list(zip(trials["layer"].values[mine], trials["index"].values[mine], strict=True))
    assert found == [(2, 5)] * 3 + [(0, 3)] * 3


def test_a_profile_without_behaviours_has_empty_tables(project: Params) -> None:
    none = params()
    run_each(behaviour_prompts, none)
    write_circuits([])
    behaviour_interventions.main("mine", none)
    assert open_dataset(OUT, "trials").sizes["trial"] == 0
    assert open_dataset(OUT, "curves").sizes["behaviour"] == 0
    assert json.loads((FOLDER / "metrics" / "behaviour_interventions.json").read_text()) == {
        "nothing": UNNAMED
    }
