"""The stage on the demo profile with a small random model: from graphs and labels to tested trials."""

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from pipeline.analysis.validation_sets import measured_situations, situation_of
from pipeline.params.project import Params
from pipeline.stages import interventions as stage
from pipeline.stages.interventions import main
from store.datasets.groups import open_dataset
from store.documents.prompts import read_prompts
from store.schema.interventions import INTERVENTIONS
from store.schema.vocabulary import CAUSAL, FROZEN
from tests.support.tried import VARIANTS

FOLDER = Path("artifacts/demo")


@pytest.fixture
def params(measuring: Params) -> Params:
    """Those of the project, with fewer of everything."""
    few = {"features": 2, "pairs": 2, "min_situations": 2, "situations": 2, "controls": 3, "positions": 1}
    fewer = few | {"factors": [5.0], "bootstrap": 50, "labellings": 50}
    chosen = measuring.interventions.model_copy(update=fewer)
    return measuring.model_copy(update={"interventions": chosen})


def test_the_stage_tries_where_nothing_was_chosen(params: Params, capsys: pytest.CaptureFixture) -> None:
    main("demo", params)
    table, cells = (open_dataset(FOLDER / "interventions", name) for name in ("trials", "cells"))
    assert set(map(str, table["experiment"].values)) == set(CAUSAL)
    assert set(map(str, table["frozen"].values)) == set(FROZEN)
    assert list(dict.fromkeys(map(str, table["variant"].values))) == list(VARIANTS)
    prompts = {prompt.hash: prompt for prompt in read_prompts(FOLDER / "prompts.json")}
    situations = {situation_of(prompts[str(name)]) for name in cells["prompt"].values}
    assert 0 < len(situations) <= params.interventions.situations
    measured = measured_situations(list(prompts.values()))
    assert situations <= measured
    for name, partner, shared in zip(
        cells["prompt"].values, cells["partner"].values, cells["n_shared"].values, strict=True
    ):
        mine, other = prompts[str(name)], prompts[str(partner)]
        assert situation_of(mine) != situation_of(other)
        assert situation_of(other) not in measured
        assert mine.token_ids[-shared:] == other.token_ids[-shared:]
    acting = cells["n_positions"].values > 0
    np.testing.assert_array_equal(cells["effect"].values[~acting], 0.0)
    assert (cells["effect"].values[acting] != 0).mean() > 0.5
    metrics = json.loads((FOLDER / "metrics" / "interventions.json").read_text(encoding="utf-8"))
    assert sum(metrics["ablation in base"].values()) == 2 * len(FROZEN)
    # What is there is not computed again, and the tables are the same.
    before = {name: each.values.copy() for name, each in table.items()}
    capsys.readouterr()
    main("demo", params)
    assert "0 computed" in capsys.readouterr().out
    again = open_dataset(FOLDER / "interventions", "trials")
    for name, values in before.items():
        np.testing.assert_array_equal(again[name].values, values)


def test_tables_are_taken_over_where_nothing_that_decides_them_is_new(
    params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tables() -> dict[str, xr.Dataset]:
        groups = INTERVENTIONS.groups
        return {group: open_dataset(FOLDER / INTERVENTIONS.kind, group).load() for group in groups}

    main("demo", params)
    before, made, made_anew = tables(), stage.intervention_groups, 0

    def counted(*args: object) -> object:
        nonlocal made_anew
        made_anew += 1
        return made(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(stage, "intervention_groups", counted)
    main("demo", params)
    assert made_anew == 0
    for group, table in before.items():
        assert table.identical(tables()[group])
    chosen = params.interventions.model_copy(update={"bootstrap": 60})
    other = params.model_copy(update={"interventions": chosen})
    main("demo", other)
    assert made_anew == 1
    # Evil and safe change sides: the same is tried on the same tokens, and means the opposite.
    turned = stage.labelled_targets
    monkeypatch.setattr(
        stage,
        "labelled_targets",
        lambda *args: {prompt: (tokens, -of) for prompt, (tokens, of) in turned(*args).items()},
    )
    main("demo", other)
    np.testing.assert_allclose(tables()["trials"]["effect"].values, -before["trials"]["effect"].values)
    # A score that is another in the situations that were tried predicts something else.
    made_anew, predicted = 0, stage.predicted_effects
    monkeypatch.setattr(stage, "predicted_effects", lambda *args: 2 * predicted(*args))
    main("demo", other)
    assert made_anew == 1


def test_where_no_feature_is_active_often_enough_nothing_is_tried(
    params: Params, capsys: pytest.CaptureFixture
) -> None:
    chosen = params.interventions.model_copy(update={"min_situations": 1000})
    main("demo", params.model_copy(update={"interventions": chosen}))
    assert "active in 1000 situations (interventions.min_situations)" in capsys.readouterr().out
    assert open_dataset(FOLDER / "interventions", "trials").sizes["trial"] == 0
