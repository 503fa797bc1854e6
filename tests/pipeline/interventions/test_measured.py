"""Effects that rankings are held against: those of single passes, nothing where nothing changes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.interventions import measured
from pipeline.interventions.engine import SteeringEngine
from pipeline.interventions.kinds import Intervention
from pipeline.interventions.measured import ablation, effects, restoration
from pipeline.items.code import QualifiedName
from pipeline.items.units import make_unit
from pipeline.models.pool import ModelPool
from pipeline.params.runtime import RuntimeParams
from store.documents.manifest import Manifest

FOCUS = "general@1.0"
TOKENS = [5, 17, 40]
CONTROLS = 3


@pytest.fixture(scope="module")
def pool(manifest: Manifest) -> ModelPool:
    return ModelPool(manifest)


@pytest.fixture(scope="module")
def activity(pool: ModelPool, ids: tuple[int, ...]) -> dict[str, dict[int, np.ndarray]]:
    found = {}
    for variant in ("base", FOCUS):
        engine = SteeringEngine(pool.replacement(variant))
        found[variant] = {layer: engine.activations(ids, layer) for layer in range(3)}
    return found


@pytest.fixture(scope="module")
def sets(activity: dict[str, dict[int, np.ndarray]]) -> list[list[tuple[int, int]]]:
    """The most active and the most changed feature of every layer, one that is inactive, all together."""
    base, now = activity["base"], activity[FOCUS]
    chosen = [(layer, int(now[layer].sum(axis=0).argmax())) for layer in range(3)]
    chosen += [(layer, int(np.abs(now[layer] - base[layer]).sum(axis=0).argmax())) for layer in range(3)]
    idle = int(np.flatnonzero(~(now[1].any(axis=0) | base[1].any(axis=0)))[0])
    return [[one] for one in dict.fromkeys([*chosen, (1, idle)])] + [chosen]


def item_of(
    pool: ModelPool, ids: tuple[int, ...], sets: Sequence[Any], variant: str, compared: Sequence[int] = ()
) -> dict[str, np.ndarray]:
    unit = make_unit(
        QualifiedName("pipeline.interventions.measured", "compute_measured"),
        prompt_hash="0" * 12,
        token_ids=ids,
        variants=list(dict.fromkeys(["base", variant])),
        outputs=[(measured.KIND, variant)],
        arguments={
            "variant": variant,
            "tokens": TOKENS,
            "sets": sets,
            "compared": list(compared),
            "controls": CONTROLS,
            "seed": 0,
        },
        manifest=pool.manifest,
        runtime=RuntimeParams(seed=0, threads=1),
    )
    ((_, item),) = list(unit.run(pool))
    return dict(item.arrays)


def test_ablating_is_circuit_tracers_intervention(
    pool: ModelPool, ids: tuple[int, ...], sets: Any, activity: Any
) -> None:
    found = item_of(pool, ids, sets, FOCUS)["ablate"]
    model = pool.replacement(FOCUS)
    plain = model(torch.tensor([ids]))[0, -1].detach()
    for row, each in enumerate(sets):
        places = [
            (layer, int(place), feature, 0.0)
            for layer, feature in each
            for place in np.flatnonzero(activity[FOCUS][layer][:, feature])
        ]
        if not places:
            assert not found[row].any()
            continue
        after, _ = model.feature_intervention(
            torch.tensor(ids), places, constrained_layers=None, freeze_attention=False
        )
        expected = (after[0, -1] - plain)[TOKENS].detach().numpy()
        np.testing.assert_allclose(found[row], expected, atol=2e-5)
    assert (np.abs(found).max(axis=1) > 1e-3).sum() >= 3


def test_restored_features_are_the_bases(
    pool: ModelPool, ids: tuple[int, ...], sets: Any, activity: Any
) -> None:
    """Not those of a neighbouring position, and only where the adapter changed them."""
    engine = SteeringEngine(pool.replacement(FOCUS))
    for layer, feature in sets[-1]:
        base, now = activity["base"][layer][:, feature], activity[FOCUS][layer][:, feature]
        setting = restoration([(layer, feature)], activity[FOCUS], activity["base"])
        after = now.copy()
        for one in setting:
            after[list(one.where)] = one.value
        np.testing.assert_array_equal(after, base)
        touched = sorted(place for one in setting for place in one.where)
        assert touched == np.flatnonzero(base != now).tolist()
        if setting:
            single = engine.next_token(ids, setting, controls=0).effect_logits[TOKENS]
            np.testing.assert_allclose(effects(engine, ids, [setting], TOKENS)[0], single, atol=2e-5)


def test_nothing_is_measured_where_nothing_changes(
    pool: ModelPool, ids: tuple[int, ...], activity: Any
) -> None:
    unchanged = [
        (layer, int(feature))
        for layer in range(3)
        for feature in np.flatnonzero((activity["base"][layer] == activity[FOCUS][layer]).all(axis=0))[:4]
    ]
    assert unchanged
    found = item_of(pool, ids, [[one] for one in unchanged], FOCUS)
    np.testing.assert_array_equal(found["restore"], 0.0)
    of_base = item_of(pool, ids, [[one] for one in unchanged], "base")
    assert of_base["restore"].shape == (0, len(TOKENS))
    assert of_base["restore_controls"].shape == (0, CONTROLS, len(TOKENS))


def test_a_batch_is_what_single_passes_are(
    pool: ModelPool, ids: tuple[int, ...], sets: Any, activity: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However it is cut, and wherever settings begin."""
    engine = SteeringEngine(pool.replacement(FOCUS))
    settings = [ablation(each, activity[FOCUS]) for each in sets]
    settings.append((Intervention(layer=2, feature=3, mode="set", value=4.0, where=(len(ids) - 1,)),))
    expected = [engine.next_token(ids, one, controls=0).effect_logits[TOKENS] for one in settings]
    whole = effects(engine, ids, settings, TOKENS)
    np.testing.assert_allclose(whole, expected, atol=2e-5)
    monkeypatch.setattr(measured, "_TOKENS", 2 * len(ids))
    np.testing.assert_allclose(effects(engine, ids, settings, TOKENS), whole, atol=2e-5)


def test_what_cannot_reach_the_last_position_does_nothing(
    pool: ModelPool, ids: tuple[int, ...], activity: Any
) -> None:
    """A feature of the last layer acts at its own position: elsewhere all that differs is rounding."""
    now = activity[FOCUS][2]
    elsewhere = np.flatnonzero(now.any(axis=0) & (now[-1] == 0))
    there = np.flatnonzero(now[-1])
    found = item_of(pool, ids, [[(2, int(f))] for f in (*elsewhere, *there)], FOCUS)["ablate"]
    assert len(elsewhere) > 5
    np.testing.assert_array_equal(found[: len(elsewhere)], 0.0)
    assert (np.abs(found[len(elsewhere) :]).max(axis=1) > 0).mean() > 0.9


def test_controls_suffer_the_same_relative_change(
    pool: ModelPool, ids: tuple[int, ...], sets: Any, activity: Any
) -> None:
    base, now = activity["base"], activity[FOCUS]
    layer, feature = max(sets[-1], key=lambda one: np.abs(now[one[0]] - base[one[0]])[:, one[1]].sum())
    for one in restoration([(layer, feature)], now, base, relative=True):
        for place in one.where:
            has, had = now[layer][place, feature], base[layer][place, feature]
            after = one.apply(np.array([has], np.float64), np.array([place]))
            assert after.item() == pytest.approx(had, rel=1e-6)
            assert one.mode == ("multiply" if has > 0 else "set")


def test_compared_sets_stand_beside_matched_controls(
    pool: ModelPool, ids: tuple[int, ...], sets: Any, activity: Any
) -> None:
    found = item_of(pool, ids, sets, FOCUS, compared=[0, len(sets) - 1])
    assert found["ablate_controls"].shape == (2, CONTROLS, len(TOKENS))
    engine = SteeringEngine(pool.replacement(FOCUS))
    matched = engine.match(ids, ablation(sets[0], activity[FOCUS]), CONTROLS, 0).settings
    assert len(matched) == CONTROLS
    single = [engine.next_token(ids, each, controls=0).effect_logits[TOKENS] for each in matched]
    np.testing.assert_allclose(found["ablate_controls"][0], single, atol=2e-5)
    assert np.isfinite(found["restore_controls"]).any()
