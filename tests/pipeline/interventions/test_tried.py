"""Trials on one prompt: against circuit-tracer and hooks by hand, and what must come to nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from pipeline.analysis.trials import Feature, Trial
from pipeline.interventions import tried
from pipeline.interventions.changes import frozen_parts
from pipeline.interventions.engine import SteeringEngine
from pipeline.interventions.kinds import KINDS, Frozen, Intervention
from pipeline.interventions.tried import Sources, setting_of
from pipeline.items.code import QualifiedName
from pipeline.items.units import make_unit
from pipeline.models.pool import ModelPool
from pipeline.params.runtime import RuntimeParams
from store.documents.manifest import Manifest
from store.schema.vocabulary import (
    ABLATION,
    DOSE_RESPONSE,
    EVERYTHING,
    FROZEN,
    IMPORTANCE,
    INHIBITION,
    INTERACTION,
    NOTHING,
    PATCHING,
    TOGETHER,
    TRANSFER,
)

FOCUS = "general@1.0"
TOKENS = [5, 17, 40]
CONTROLS = 4
Arrays = Mapping[str, np.ndarray]


@pytest.fixture(scope="module")
def pool(manifest: Manifest) -> ModelPool:
    return ModelPool(manifest)


@pytest.fixture(scope="module")
def partner_ids(ids: tuple[int, ...]) -> tuple[int, ...]:
    """Another prompt, longer, that ends as the other does with four tokens."""
    generator = torch.Generator().manual_seed(9)
    return (1, *torch.randint(3, 300, (9,), generator=generator).tolist(), *ids[-4:])


@pytest.fixture(scope="module")
def activity(pool: ModelPool, ids: tuple[int, ...], partner_ids: tuple[int, ...]) -> dict[str, Any]:
    found = {}
    for variant in ("base", FOCUS):
        engine = SteeringEngine(pool.replacement(variant))
        found[variant] = {layer: engine.activations(ids, layer) for layer in range(3)}
        found[f"partner, {variant}"] = {layer: engine.activations(partner_ids, layer) for layer in range(3)}
    return found


@pytest.fixture(scope="module")
def features(activity: dict[str, Any]) -> list[Feature]:
    """The most active one of each layer in the adapted variant."""
    return [(layer, int(activity[FOCUS][layer].sum(axis=0).argmax())) for layer in range(3)]


def run(
    pool: ModelPool,
    ids: Sequence[int],
    trials: Sequence[Trial],
    *,
    variant: str = FOCUS,
    partner: Sequence[int] = (),
    n_shared: int = 0,
    controls: int = CONTROLS,
) -> Arrays:
    unit = make_unit(
        QualifiedName("pipeline.interventions.tried", "compute_tried"),
        prompt_hash="0" * 12,
        token_ids=ids,
        variants=["base", FOCUS],
        outputs=[(tried.KIND, variant)],
        arguments={
            "variant": variant,
            "other": "base" if variant == FOCUS else FOCUS,
            "tokens": TOKENS,
            "trials": [asdict(trial) for trial in trials],
            "partner": list(partner),
            "n_shared": n_shared,
            "controls": controls,
            "seed": 0,
        },
        manifest=pool.manifest,
        runtime=RuntimeParams(seed=0, threads=1),
    )
    ((_, item),) = list(unit.run(pool))
    return dict(item.arrays)


def test_each_experiment_is_circuit_tracers_intervention(
    pool: ModelPool, ids: tuple[int, ...], partner_ids: tuple[int, ...], activity: Any, features: Any
) -> None:
    """Which value at which positions is said here by hand."""
    now, base, other = activity[FOCUS], activity["base"], activity[f"partner, {FOCUS}"]
    last = len(ids) - 1
    trials, values = [], []
    for layer, index in features:
        f, one = now[layer][:, index], {"features": ((layer, index),)}
        places = np.flatnonzero(f)
        trials += [
            Trial(experiment=ABLATION, **one),
            Trial(experiment=INHIBITION, value=1.5, **one),
            Trial(experiment=DOSE_RESPONSE, value=-4.0, **one),
            Trial(experiment=IMPORTANCE, from_end=2, **one),
            Trial(experiment=TRANSFER, **one),
            Trial(experiment=PATCHING, **one),
        ]
        patched = dict(zip(range(last - 3, last + 1), other[layer][-4:, index], strict=True))
        values += [
            dict.fromkeys(places, 0.0),
            {place: -1.5 * f[place] for place in places},
            {place: -4.0 * f[place] for place in places},
            {last - 2: 0.0},
            dict(enumerate(base[layer][:, index])),
            patched,
        ]
    found = run(pool, ids, trials, partner=partner_ids, n_shared=4)
    model = pool.replacement(FOCUS)
    plain = model(torch.tensor([ids]))[0, -1].detach()
    np.testing.assert_allclose(found["baseline"], plain[TOKENS], atol=1e-5)
    for row, (trial, wanted) in enumerate(zip(trials, values, strict=True)):
        ((layer, index),) = trial.features
        steps = [(layer, int(place), index, float(value)) for place, value in wanted.items()]
        after, _ = model.feature_intervention(torch.tensor(ids), steps, freeze_attention=False)
        logits = after[0, -1].detach()
        np.testing.assert_allclose(found["effect"][row], (logits - plain)[TOKENS], atol=5e-5)
        both = [log_softmax(each.double().numpy()) for each in (logits, plain)]
        change = found["effect"][row] - found["effect_mass"][row]
        np.testing.assert_allclose(change, (both[0] - both[1])[TOKENS], atol=5e-5)
        places = [int((logits > logits[token]).sum()) + 1 for token in TOKENS]
        assert found["rank"][row].tolist() == places
        changed = [place for place, value in wanted.items() if value != now[layer][place, index]]
        assert found["n_positions"][row] == len(changed)
        if changed:
            expected = np.mean([[now[layer][place, index], wanted[place]] for place in changed], axis=0)
            for name, value in zip(("before", "after"), expected, strict=True):
                assert found[name][row, 0] == pytest.approx(value, rel=1e-5, abs=1e-6)
    assert np.isnan(found["before"][:, 1]).all()
    assert (np.abs(found["effect"]).max(axis=1) > 1e-3).mean() > 0.8


def test_base_is_given_the_adapted_values(
    pool: ModelPool, ids: tuple[int, ...], activity: Any, features: Any
) -> None:
    found = run(pool, ids, [Trial(experiment=TRANSFER, features=(one,)) for one in features], variant="base")
    model = pool.replacement("base")
    plain = model(torch.tensor([ids]))[0, -1].detach()
    for row, (layer, index) in enumerate(features):
        steps = [
            (layer, at, index, float(value)) for at, value in enumerate(activity[FOCUS][layer][:, index])
        ]
        after, _ = model.feature_intervention(torch.tensor(ids), steps, freeze_attention=False)
        np.testing.assert_allclose(found["effect"][row], (after[0, -1] - plain)[TOKENS].detach(), atol=5e-5)


def test_what_is_frozen_is(pool: ModelPool, ids: tuple[int, ...], features: Any) -> None:
    """Each part by itself; all of them leave what circuit-tracer calls direct."""
    trials = [Trial(experiment=ABLATION, features=(features[0],), frozen=frozen) for frozen in FROZEN]
    found = dict(zip(FROZEN, run(pool, ids, trials)["effect"], strict=True))
    engine = SteeringEngine(pool.replacement(FOCUS))
    f = engine.activations(ids, features[0][0])[:, features[0][1]]
    setting = tuple(
        Intervention(layer=features[0][0], feature=features[0][1], mode="ablate", value=0.0, where=(int(at),))
        for at in np.flatnonzero(f)
    )
    every = (0, 1, 2)
    parts = {
        "norms": Frozen(norms=True),
        "attention": Frozen(attention=True),
        "mlps": Frozen(mlps=every),
        EVERYTHING: Frozen(attention=True, norms=True, mlps=every),
        NOTHING: Frozen(),
    }
    for name, frozen in parts.items():
        alone = engine.next_token(ids, setting, controls=0, frozen=frozen).effect_logits[TOKENS]
        np.testing.assert_allclose(found[name], alone, atol=2e-5, err_msg=name)
    assert len({tuple(np.round(each, 4)) for each in found.values()}) == len(FROZEN)


def test_two_features_add_up_where_all_is_linear(
    pool: ModelPool, ids: tuple[int, ...], features: Any
) -> None:
    """Joint minus sum is 0 with everything frozen, for controls, too; free it is what three passes say."""
    pair = tuple(features[:2])
    trials = [
        Trial(experiment=name, features=pair, frozen=frozen)
        for frozen in (EVERYTHING, NOTHING)
        for name in (TOGETHER, INTERACTION)
    ]
    trials += [Trial(experiment=ABLATION, features=(one,)) for one in pair]
    found = run(pool, ids, trials)
    together, beyond = found["effect"][0], found["effect"][1]
    assert np.abs(together).max() > 1e-2
    assert not beyond.any(), "nor is what rounding leaves of it"
    assert not found["controls"][1].any()
    np.testing.assert_allclose(found["added"][1], together, atol=2e-6)
    joint, beyond, *alone = found["effect"][2:]
    np.testing.assert_allclose(beyond, joint - sum(alone), atol=2e-6)
    np.testing.assert_allclose(found["added"][3], sum(alone), atol=2e-6)
    assert found["effect_mass"][3] == pytest.approx(found["effect_mass"][2] - found["effect_mass"][4:].sum())
    assert np.abs(beyond).max() > 1e-5
    assert np.abs(found["controls"][3]).max() > 0
    assert not found["added"][[0, 2, 4, 5]].any()
    assert np.isfinite(found["before"][:4]).all()


def test_two_features_interact_only_where_both_are_active(
    pool: ModelPool, ids: tuple[int, ...], activity: Any, features: Any
) -> None:
    """One alone has nothing beyond itself: it stands beside no interactions, and nor do its controls."""
    idle = int(np.flatnonzero(~activity[FOCUS][1].any(axis=0))[0])
    for pair in (((1, idle), features[0]), (features[0], (1, idle))):
        trials = [Trial(experiment=name, features=pair) for name in (INTERACTION, TOGETHER)]
        found = run(pool, ids, trials)
        assert found["n_positions"][0] == 0
        assert not found["effect"][0].any()
        assert np.isnan(found["controls"][0]).all()
        assert (found["control_index"][0] == -1).all()
        assert found["effect"][1].any()
        # Two layers' features of one number are two controls: none is told in place of the second.
        assert (found["control_index"][1] == -1).all() == (pair[0] == (1, idle))
        assert np.isfinite(found["controls"][1]).all()


def test_what_changes_nothing_comes_to_nothing(
    pool: ModelPool, ids: tuple[int, ...], activity: Any, features: Any
) -> None:
    idle = int(np.flatnonzero(~(activity[FOCUS][1].any(axis=0) | activity["base"][1].any(axis=0)))[0])
    asked = {ABLATION: None, INHIBITION: 1.0, DOSE_RESPONSE: 20.0, TRANSFER: None}
    still = [Trial(experiment=name, features=((1, idle),), value=value) for name, value in asked.items()]
    still += [
        Trial(experiment=PATCHING, features=(features[1],)),
        Trial(experiment=IMPORTANCE, features=(features[1],), from_end=len(ids) - 1),  # BOS is zeroed
        Trial(experiment=IMPORTANCE, features=(features[1],), from_end=len(ids)),
    ]
    itself = run(pool, ids, still, partner=ids, n_shared=len(ids))
    alone = run(pool, ids, still)
    for found in (itself, alone):
        assert not found["effect"].any()
        assert not found["effect_mass"].any()
        assert not found["n_positions"].any()
        assert np.isnan(found["after"]).all()
        assert np.isnan(found["controls"]).all()
        assert (found["control_index"] == -1).all()
        np.testing.assert_array_equal(found["rank"], np.tile(found["baseline_rank"], (len(still), 1)))


def test_ablating_twice_is_ablating_once(
    pool: ModelPool, ids: tuple[int, ...], activity: Any, features: Any
) -> None:
    now = activity[FOCUS]
    sources = Sources(now=now, other=now, patched=now)
    engine = SteeringEngine(pool.replacement(FOCUS))
    for feature in features:
        once = setting_of(Trial(experiment=ABLATION, features=(feature,)), sources)
        logits = engine.logits(ids, [once, (*once, *once)])
        np.testing.assert_allclose(*logits, atol=2e-6)
        assert np.abs(logits[0] - engine.logits(ids, [()])[0]).max() > 1e-3


def test_controls_do_the_same_at_the_same_positions(
    pool: ModelPool, ids: tuple[int, ...], activity: Any, features: Any
) -> None:
    now = activity[FOCUS]
    sources = Sources(now=now, other=activity["base"], patched=now)
    engine = SteeringEngine(pool.replacement(FOCUS))
    trials = [
        Trial(experiment=ABLATION, features=(features[1],)),
        Trial(experiment=ABLATION, features=(features[1],), frozen=EVERYTHING),
        Trial(experiment=DOSE_RESPONSE, features=(features[1],), value=5.0),
    ]
    found = run(pool, ids, trials)
    layer, index = features[1]
    places = tuple(np.flatnonzero(now[layer][:, index]).tolist())
    controls = tried.controls_of(engine, ids, trials, sources, CONTROLS, 0)
    assert [len(each) for each in controls] == [CONTROLS] * 3
    for row, (trial, of) in enumerate(zip(trials, controls, strict=True)):
        assert found["control_index"][row].tolist() == [setting[0].feature for setting in of]
        assert index not in found["control_index"][row]
        frozen = frozen_parts(trial.frozen, 3)
        for column, (one,) in enumerate(of):
            assert (one.layer, one.where) == (layer, places)
            assert KINDS[one.mode].affine(one.values[0]) == (trial.factor, 0.0)
            alone = engine.next_token(ids, (one,), controls=0, frozen=frozen).effect_logits[TOKENS]
            np.testing.assert_allclose(found["controls"][row, column], alone, atol=2e-5)
