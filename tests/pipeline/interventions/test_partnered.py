"""Along partners: against circuit-tracer and hooks by hand, at the span alone, and without a partner."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.analysis.trials import Feature, Trial
from pipeline.interventions.engine import SteeringEngine
from pipeline.interventions.kinds import Intervention
from pipeline.items.code import QualifiedName
from pipeline.items.units import make_unit
from pipeline.models.pool import ModelPool
from pipeline.params.runtime import RuntimeParams
from store.schema.vocabulary import ABLATION, INHIBITION, PATCHING
from tests.support.builders import make_checkpoint

TOKENS = [17, 40]
IDS = (1, 30, 31, 32, 33, 34, 35, 36)
SPAN = (2, 4)
SOURCE = (*IDS[:2], 50, 51, *IDS[4:])
KS = [1, 4, 200]
N_LAYERS, WIDTH = 3, 64
EVERY = [(layer, index) for layer in range(N_LAYERS) for index in range(WIDTH)]
WHOLE = [Trial(experiment=name, features=()) for name in (ABLATION, PATCHING)]


@pytest.fixture(scope="module", params=["llama", "qwen3"])
def pool(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ModelPool:
    folder = tmp_path_factory.mktemp(request.param) / "subject"
    return ModelPool(make_checkpoint(folder, architecture=request.param).manifest())


def run(pool: ModelPool, name: str, ids: Sequence[int] = IDS, **arguments: Any) -> Mapping[str, np.ndarray]:
    kind = {"decision": "decision_features", "partnered": "partnered_effects", "circuits": "circuit_logits"}
    unit = make_unit(
        QualifiedName("pipeline.interventions.partnered", f"compute_{name}"),
        prompt_hash="0" * 12,
        token_ids=ids,
        variants=["base"],
        outputs=[(kind[name], "base")],
        arguments={"variant": "base", "tokens": TOKENS, **arguments},
        manifest=pool.manifest,
        runtime=RuntimeParams(seed=0, threads=1),
    )
    ((found, item),) = list(unit.run(pool))
    assert found == kind[name]
    return item.arrays


def circuits(pool: ModelPool, **changes: Any) -> Mapping[str, np.ndarray]:
    rng = np.random.default_rng(3)
    orders = [[EVERY[row] for row in rng.permutation(len(EVERY))] for _ in range(2)]
    given = {"orders": orders, "random": [orders[0][:5]], "ks": KS, "source": SOURCE, "span": SPAN}
    return run(pool, "circuits", **given | changes)


def effects(pool: ModelPool, trials: Sequence[Trial], **changes: Any) -> Mapping[str, np.ndarray]:
    given = {
        "trials": [asdict(trial) for trial in trials],
        "whole": [asdict(trial) for trial in WHOLE],
        "source": SOURCE,
        "span": SPAN,
        "controls": 3,
        "seed": 0,
    }
    return run(pool, "partnered", **given | changes)


@torch.no_grad()
def plain(pool: ModelPool, ids: Sequence[int]) -> np.ndarray:
    found: np.ndarray = pool.replacement("base")(torch.tensor([ids]))[0, -1].numpy()
    return found


def test_the_partners_stream_in_all_layers_gives_the_partners_logits(pool: ModelPool) -> None:
    model = pool.replacement("base")
    hooks = model.count_hooks()
    found = circuits(pool)
    assert model.count_hooks() == hooks
    np.testing.assert_allclose(found["clean"], plain(pool, IDS)[TOKENS], atol=1e-5)
    np.testing.assert_allclose(found["partnered"][0], plain(pool, SOURCE)[TOKENS], atol=1e-5)
    np.testing.assert_allclose(found["stream"][-1], found["partnered"][0], atol=1e-4)
    # Before the first layer it is the embedding; before later ones, tokens behind have read what was there.
    np.testing.assert_allclose(found["stream"][0], found["partnered"][0], atol=1e-4)
    assert np.abs(found["stream"][1:-1] - found["partnered"]).max(axis=1).min() > 1e-3
    assert np.abs(found["partnered"] - found["clean"]).max() > 1e-2


def test_one_position_of_the_span_is_not_enough(pool: ModelPool) -> None:
    found = circuits(pool, span=(SPAN[0], SPAN[1] - 1))
    assert np.abs(found["stream"][-1] - found["partnered"][0]).max() > 1e-3


def test_features_alone_at_the_span_are_circuit_tracers_interventions(pool: ModelPool) -> None:
    found, model = circuits(pool), pool.replacement("base")
    engine = SteeringEngine(model)
    values, own = ([engine.activations(ids, layer) for layer in range(N_LAYERS)] for ids in (SOURCE, IDS))
    # What is active on neither prompt, and wakes as layers before it are changed, answers for itself.
    active = [(layer, index) for layer, index in EVERY if (values[layer] + own[layer])[:, index].any()]
    by_layer = [[one for one in active if one[0] == layer] for layer in range(N_LAYERS)]
    for site, features in enumerate([*by_layer, active]):
        steps = [
            (layer, place, index, float(values[layer][place, index]))
            for layer, index in features
            for place in range(*SPAN)
        ]
        after, _ = model.feature_intervention(torch.tensor(IDS), steps, freeze_attention=False)
        np.testing.assert_allclose(
            found["features"][site], after[0, -1].detach()[TOKENS], atol=5e-5, err_msg=f"{site}"
        )
    # A circuit of all features is a layer's all of them; a random circuit's five are in three layers.
    np.testing.assert_allclose(found["circuit"][:-1], found["features"][:-1], atol=2e-5)
    first = circuits(pool, orders=[circuits_of(5)])
    np.testing.assert_allclose(first["circuit"], found["by_chance"][0], atol=2e-5)
    assert np.abs(found["by_chance"][0] - found["features"]).max() > 1e-3


def circuits_of(n: int) -> list[Feature]:
    rng = np.random.default_rng(3)
    return [EVERY[row] for row in rng.permutation(len(EVERY))][:n]


def test_a_circuits_first_features_are_held_at_every_position(pool: ModelPool) -> None:
    """Sufficient, necessary and removed: the host and the values of each are said here by hand."""
    found, engine = circuits(pool), SteeringEngine(pool.replacement("base"))
    active = {ids: [engine.activations(ids, layer) for layer in range(N_LAYERS)] for ids in (IDS, SOURCE)}
    for name, host, values in (
        ("given", SOURCE, active[IDS]),
        ("taken", IDS, active[SOURCE]),
        ("ablated", IDS, None),
    ):
        for column, k in enumerate(KS[:2]):
            setting = tuple(
                Intervention(
                    layer=layer,
                    feature=index,
                    mode="set",
                    value=0.0 if values is None else float(values[layer][place, index]),
                    where=(place,),
                )
                for layer, index in circuits_of(k)
                for place in range(1, len(IDS))
            )
            single = engine.next_token(host, setting, controls=0).steered_logits[TOKENS]
            np.testing.assert_allclose(found[name][0, column], single, atol=2e-5, err_msg=name)
        assert found[name].shape == (3, len(KS), 2)
        np.testing.assert_allclose(found[name][0, -1], found[name][1, -1], atol=2e-5, err_msg="all of them")


def test_trials_are_patched_at_the_span_and_whole_layers_are_all_their_features(pool: ModelPool) -> None:
    model = pool.replacement("base")
    engine = SteeringEngine(model)
    now, other = (
        {layer: engine.activations(ids, layer) for layer in range(N_LAYERS)} for ids in (IDS, SOURCE)
    )
    features = [
        (layer, int(np.abs(now[layer] - other[layer])[slice(*SPAN)].sum(0).argmax())) for layer in now
    ]
    trials = [
        Trial(experiment=name, features=(one,), value=1.0 if name == INHIBITION else None)
        for one in features
        for name in (ABLATION, INHIBITION, PATCHING)
    ]
    found, base = effects(pool, trials), plain(pool, IDS)
    wanted: list[dict[tuple[int, int, int], float]] = []
    for trial in trials:
        ((layer, index),) = trial.features
        own = now[layer][:, index]
        factor = {ABLATION: 0.0, INHIBITION: -1.0}.get(trial.experiment)
        if factor is None:
            wanted.append({(layer, at, index): other[layer][at, index] for at in range(*SPAN)})
        else:
            wanted.append({(layer, int(at), index): factor * own[at] for at in np.flatnonzero(own)})
    for layer in range(N_LAYERS):
        places = zip(*np.nonzero(now[layer]), strict=True)
        wanted.append({(layer, int(at), int(index)): 0.0 for at, index in places})
        wanted.append(
            {(layer, at, index): other[layer][at, index] for at in range(*SPAN) for index in range(WIDTH)}
        )
    assert len(found["effect"]) == len(wanted) == len(trials) + N_LAYERS * len(WHOLE)
    for row, values in enumerate(wanted):
        steps = [(*key, float(value)) for key, value in values.items()]
        after, _ = model.feature_intervention(torch.tensor(IDS), steps, freeze_attention=False)
        change = after[0, -1].detach().numpy() - base
        np.testing.assert_allclose(found["effect"][row], change[TOKENS], atol=5e-5)
    # What is patched in the last layer, before the last position, reaches nothing.
    assert (np.abs(found["effect"]).max(axis=1) > 1e-4).mean() > 0.7
    # Patching a whole layer is that layer's share of features alone.
    alone = circuits(pool)["features"][:-1] - circuits(pool)["clean"]
    np.testing.assert_allclose(found["effect"][len(trials) + 1 :: 2], alone, atol=5e-5)
    assert (found["control_index"][: len(trials)] != -1).any(axis=1).all()
    assert (found["control_index"][len(trials) :] == -1).all()
    assert np.isnan(found["before"][len(trials) :]).all()


def test_without_a_partner_nothing_is_patched(pool: ModelPool) -> None:
    trials = [Trial(experiment=name, features=((0, 3),)) for name in (PATCHING, ABLATION)]
    found = effects(pool, trials, source=[])
    patched = [0, *range(len(trials) + 1, len(trials) + 2 * N_LAYERS, 2)]
    assert not found["effect"][patched].any()
    assert not found["n_positions"][patched].any()
    assert np.abs(found["effect"][len(trials) :: 2]).max() > 1e-3, "whole layers are ablated all the same"
    of = circuits(pool, source=[])
    assert of["ablated"].shape == (3, len(KS), 2)
    assert [len(of[name]) for name in ("partnered", "given", "taken", "stream", "features", "circuit")] == [
        0
    ] * 6
    assert of["by_chance"].shape == (1, 0, 2)


def test_the_largest_activations_of_a_prompt(pool: ModelPool) -> None:
    found, engine = run(pool, "decision"), SteeringEngine(pool.replacement("base"))
    np.testing.assert_allclose(found["logit"], plain(pool, IDS)[TOKENS], atol=1e-5)
    for layer in range(N_LAYERS):
        largest = engine.activations(IDS, layer).max(axis=0)
        mine = found["layer"] == layer
        assert found["index"][mine].tolist() == np.flatnonzero(largest).tolist()
        np.testing.assert_allclose(found["value"][mine], largest[largest > 0], rtol=1e-4, atol=1e-5)
