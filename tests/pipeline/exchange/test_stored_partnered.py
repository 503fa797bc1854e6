"""Interventions on behaviours as files, against the stored arrays."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.exchange.stored_partnered import IMPORTANCE, INTERVENTION, intervention_files
from store.base.errors import ArtifactMissingError
from store.datasets.groups import open_dataset
from store.schema.vocabulary import PARTNERED, PATCHING
from tests.support.demo.behaviours import NAMES, write_behaviours
from tests.support.demo.words import LAYERS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo")
    write_behaviours(path)
    return path


def rows_of(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8"), newline="")))


def test_every_cell_and_feature_is_in_one_file(folder: Path) -> None:
    files = dict(intervention_files(folder))
    expected = {f"intervention_{kind}_{name}.csv" for kind in PARTNERED for name in NAMES}
    layers = {f"feature_importance_layer_{layer}.csv" for layer in range(LAYERS)}
    assert files.keys() == {*expected, *layers, "intervention_summary.json"}
    dataset = folder / "behaviour_interventions"
    trials, cells, prompts = (open_dataset(dataset, name).load() for name in ("trials", "cells", "prompts"))
    stored = {}
    for row in range(cells.sizes["cell"]):
        trial, prompt = (int(cells[name].values[row]) for name in ("trial", "prompt"))
        words = [
            str(trials[name].values[trial])
            for name in ("experiment", "behaviour", "circuit", "layer", "index")
        ]
        stored[(*words, str(prompts["prompt"].values[prompt]))] = row
    seen = 0
    for name in sorted(expected):
        _, kind, behaviour = name.removesuffix(".csv").split("_")
        read = rows_of(files[name])
        assert tuple(read[0]) == INTERVENTION
        for one in read:
            row = stored[kind, behaviour, one["circuit"], one["layer"], one["index"], one["prompt"]]
            seen += 1
            assert float(one["effect"]) == float(cells["effect"].values[row])
            # Effect is intervened minus baseline.
            assert float(one["effect"]) == pytest.approx(float(one["intervened"]) - float(one["baseline"]))
            assert one["flip"] == str(bool(cells["flip"].values[row])).lower()
            controls = cells["control_effect"].values[row].astype(float)
            assert int(one["n_controls"]) == np.isfinite(controls).sum()
            if one["index"] == "-1":
                assert (one["control_mean"], one["p"]) == ("", "")
            else:
                assert float(one["control_mean"]) == pytest.approx(np.nanmean(controls))
    assert seen == cells.sizes["cell"]
    patched = rows_of(files[f"intervention_{PATCHING}_{NAMES[0]}.csv"])
    unpaired = prompts["prompt"].values[prompts["unpaired"].values != ""]
    assert len(unpaired)
    assert not {one["prompt"] for one in patched} & set(map(str, unpaired))


def test_importance_by_layer_and_the_summary(folder: Path) -> None:
    files = dict(intervention_files(folder))
    table = open_dataset(folder / "behaviour_interventions", "importance").load()
    n = 0
    for layer in range(LAYERS):
        read = rows_of(files[f"feature_importance_layer_{layer}.csv"])
        assert tuple(read[0]) == IMPORTANCE
        mine = table["layer"].values == layer
        assert [int(one["index"]) for one in read] == table["index"].values[mine].tolist()
        assert [float(one["correlation"]) for one in read] == table["correlation"].values[mine].tolist()
        n += len(read)
    assert n == table.sizes["feature"]
    told = json.loads(files["intervention_summary.json"], parse_constant=pytest.fail)
    circuits = open_dataset(folder / "behaviour_interventions", "circuits").load()
    assert len(told["circuits"]) == circuits["area"].size
    one = told["circuits"][0]
    where = {name: one[name] for name in ("behaviour", "experiment", "circuit")}
    assert one["area"] == float(circuits["area"].sel(**where))
    assert len(told["trials"]) == open_dataset(folder / "behaviour_interventions", "trials").sizes["trial"]


def test_a_stage_that_has_not_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(ArtifactMissingError, match="behaviour_interventions"):
        dict(intervention_files(tmp_path))
