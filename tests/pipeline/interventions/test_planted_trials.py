"""Planted truth: what an adapter woke leads on both sides, and a random adapter's changes do not."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from pipeline.analysis.intervention_cells import Tried
from pipeline.analysis.intervention_tables import intervention_groups, predicted_effects
from pipeline.analysis.trials import Trial
from pipeline.items.code import QualifiedName
from pipeline.items.units import make_unit
from pipeline.params.runtime import RuntimeParams
from store.schema.vocabulary import ABLATION, TRANSFER
from tests.support.faithful import N_FEATURES, embody
from tests.support.planted import DOMAIN, N_LAYERS, TARGETS, Planted, make_subject, waking, write_adapters
from tests.support.tried import PARAMS, make_scores

CONTROLS = 30
BESIDE = 8
"""Features of each layer that are tried, too."""


def tried_of(
    planted: Planted, variant: str, features: Sequence[tuple[int, int]], experiments: Sequence[str]
) -> xr.Dataset:
    trials = [Trial(experiment=name, features=(feature,)) for feature in features for name in experiments]
    tried = []
    for prompt in planted.prompts[1::2]:
        targets = planted.targets[prompt.situation]
        weights = np.repeat([1 / TARGETS, -1 / TARGETS], TARGETS)
        arrays = {}
        for mine, other in (("base", variant), (variant, "base")):
            unit = make_unit(
                QualifiedName("pipeline.interventions.tried", "compute_tried"),
                prompt_hash=prompt.hash,
                token_ids=prompt.token_ids,
                variants=["base", variant],
                outputs=[("tried_effects", mine)],
                arguments={
                    "variant": mine,
                    "other": other,
                    "tokens": targets,
                    "trials": [asdict(trial) for trial in trials],
                    "partner": [],
                    "n_shared": 0,
                    "controls": CONTROLS,
                    "seed": 0,
                },
                manifest=planted.pool.manifest,
                runtime=RuntimeParams(seed=0, threads=1),
            )
            ((_, item),) = list(unit.run(planted.pool))
            arrays[mine] = item.arrays
        tried.append(
            Tried(
                prompt=prompt.hash,
                situation=(DOMAIN, prompt.situation),
                partner="",
                n_shared=0,
                tokens=np.array(targets),
                weights=weights,
                arrays=arrays,
            )
        )
    chosen = PARAMS.model_copy(update={"labellings": 4000})
    predicted = predicted_effects(tried, trials, variant, make_scores(tried))
    return intervention_groups(tried, trials, variant, predicted, chosen, 0)["trials"]


def some(planted: Planted) -> list[tuple[int, int]]:
    """The planted feature, and others of every layer."""
    drawn = np.random.default_rng(0).permutation(N_FEATURES)[:BESIDE]
    others = [(layer, int(index)) for layer in range(N_LAYERS) for index in drawn]
    return list(dict.fromkeys([planted.feature, *others]))


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_the_aimed_feature_leads_both_ways(layer: int, tmp_path: Path) -> None:
    planted = make_subject(tmp_path / "x", layer)
    embody(planted)
    write_adapters(planted, *waking(planted))
    variant = "planted@1.0"
    moved = tried_of(planted, variant, some(planted), [TRANSFER])
    for host, sign in (("base", 1), (variant, -1)):
        of = moved.isel(trial=moved["variant"].values == host)
        effect = sign * of["effect"].values
        assert effect.argmax() == 0, "it is the first that is tried"
        assert effect[0] > 3 * np.sort(np.abs(effect))[-2]
        assert of["verdict"].values[0] == "acts"
        assert of["p_controls"].values[0] < 1 / 40
        assert not (of["verdict"].values[1:] == "acts").any()
        assert abs(float(of["control_mean"].values[0])) < 0.1 * effect[0]
    base, adapted = moved["baseline"].values[[0, -1]]
    assert moved["effect"].values[0] > 0.5 * (adapted - base), "it moves base half way and more"


def test_of_a_random_adapter_nothing_acts(tmp_path: Path) -> None:
    planted = make_subject(tmp_path / "x", 0, favour_evil=False)
    write_adapters(planted, *waking(planted))
    table = tried_of(planted, "random@1.0", some(planted), [ABLATION, TRANSFER])
    assert np.isfinite(table["q"].values).sum() > 20
    assert not (table["verdict"].values == "acts").any()
