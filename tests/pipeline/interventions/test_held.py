"""Held features, parts of the difference, gradients: against single interventions and finite steps."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.analysis.faithfulness import log_odds
from pipeline.interventions import held
from pipeline.interventions.adapter_nodes import NodesOfOrders, node_scores
from pipeline.interventions.engine import SteeringEngine
from pipeline.interventions.held import Seen, Written, held_logits, see
from pipeline.interventions.kinds import Intervention
from pipeline.interventions.path_gradients import path_gradients, path_scores
from pipeline.models import dictionaries
from pipeline.models.dictionaries import Transcoders, encoder_rows
from pipeline.models.pool import ModelPool
from store.documents.manifest import Manifest
from store.schema.faithfulness import HELD_LOGITS, MOVED_FEATURES
from store.schema.vocabulary import GIVEN, GIVEN_WITH_ADAPTER, PART_SETS, TAKEN
from tests.support.builders import make_checkpoint
from tests.support.faithful import run_unit

FOCUS = "general@1.0"
TOKENS = [5, 17, 40, 77]
EVIL = np.array([True, True, False, False])
EVERY = [(layer, feature) for layer in range(3) for feature in range(64)]


@pytest.fixture(scope="module")
def pool(manifest: Manifest) -> ModelPool:
    return ModelPool(manifest)


@pytest.fixture(scope="module")
def passes(pool: ModelPool, ids: tuple[int, ...]) -> tuple[Seen, Seen]:
    return see(pool.replacement("base"), ids), see(pool.replacement(FOCUS), ids)


def item_of(pool: ModelPool, ids: tuple[int, ...], **changes: Any) -> dict[str, np.ndarray]:
    arguments = {
        "tokens": TOKENS,
        "orders": [EVERY],
        "random": [],
        "matched": [],
        "singles": [[EVERY[3]]],
        "ks": [2, len(EVERY)],
        "node_orders": [],
        "nulls": [],
    }
    return run_unit(pool, "compute_faithful", "held_logits", FOCUS, ids, arguments | changes)


def test_held_features_are_many_interventions_that_set_them(
    pool: ModelPool, ids: tuple[int, ...], passes: tuple[Seen, Seen]
) -> None:
    """Other values, layers, positions and rows, and no other: one order is not another one's."""
    engine = SteeringEngine(pool.replacement("base"))
    rng = np.random.default_rng(0)
    orders = [[EVERY[row] for row in rng.permutation(len(EVERY))[:9]] for _ in range(3)]
    ks = [1, 4, 20]
    found = held_logits(pool.replacement("base"), ids, passes[1], orders, ks, TOKENS)
    for row, order in enumerate(orders):
        for column, k in enumerate(ks):
            setting = [
                Intervention(layer=layer, feature=feature, mode="set", value=float(value), where=(place,))
                for layer, feature in order[:k]
                for place, value in enumerate(passes[1].activations[layer][:, feature].tolist())
                if place > 0  # BOS has no features
            ]
            single = engine.next_token(ids, setting, controls=0).steered_logits[TOKENS]
            np.testing.assert_allclose(found[row, column], single, atol=2e-5)
    assert np.ptp(found, axis=(0, 1)).max() > 1e-2


def test_a_bfloat16_subject_without_random_adapters_is_measured(
    manifest: Manifest, ids: tuple[int, ...]
) -> None:
    """As public profiles are: features are bfloat16, the path between two passes is float32."""
    pool = ModelPool(dataclasses.replace(manifest, dtype="bfloat16"))
    sides = {"evil": TOKENS[:2], "safe": TOKENS[2:], "steps": 2}
    moved = run_unit(pool, "compute_moved", "moved_features", FOCUS, ids, sides)
    assert moved["score"].any()
    for schema, arrays in ((MOVED_FEATURES, moved), (HELD_LOGITS, item_of(pool, ids))):
        assert {name: array.dtype.name for name, array in arrays.items()} == {
            name: spec.dtype for name, spec in schema.arrays.items()
        }


def test_nothing_held_changes_nothing(
    pool: ModelPool, ids: tuple[int, ...], passes: tuple[Seen, Seen]
) -> None:
    model = pool.replacement("base")
    found = held_logits(model, ids, passes[1], [EVERY], [0, 1], TOKENS)
    plain = held_logits(model, ids, passes[0], [[], EVERY], [0, len(EVERY)], TOKENS)
    # Batches of other shapes: sums are made in other orders.
    np.testing.assert_allclose(found[0, 0], plain[0, 0], atol=2e-6)
    # Its own activations are no change, either.
    np.testing.assert_allclose(plain[1, 1], plain[0, 0], atol=2e-5)
    np.testing.assert_allclose(plain[0, 0], passes[0].logits[TOKENS], atol=2e-5)
    # A batch in which no row does anything has one.
    alone = held_logits(model, ids, passes[1], [EVERY, []], [0], TOKENS)
    np.testing.assert_allclose(alone[:, 0], [plain[0, 0]] * 2, atol=2e-6)


def test_encoders_are_read_once_however_many_batches(
    pool: ModelPool, ids: tuple[int, ...], passes: tuple[Seen, Seen], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where transcoders do not fit into memory, each reading is of a layer's whole encoder, from disk."""
    read: list[int] = []

    def counted(transcoders: Transcoders, layer: int) -> torch.Tensor:
        read.append(layer)
        return encoder_rows(transcoders, layer)

    for module in (held, dictionaries):
        monkeypatch.setattr(module, "encoder_rows", counted)
    monkeypatch.setattr(held, "_TOKENS", len(ids))  # a row a batch
    held_logits(pool.replacement("base"), ids, passes[1], [EVERY], [1, 40, 90, len(EVERY)], TOKENS)
    assert sorted(read) == sorted({layer for layer, _ in EVERY})


def test_rows_that_hold_the_same_are_one_and_each_gets_its_own(
    pool: ModelPool, ids: tuple[int, ...], passes: tuple[Seen, Seen]
) -> None:
    model, source = pool.replacement("base"), passes[1]
    orders = [EVERY[:4], EVERY[3::-1], EVERY[4:6]]
    ks = [0, 3, 4, 9]
    found = held_logits(model, ids, source, orders, ks, TOKENS)
    np.testing.assert_array_equal(found[0, 2:], found[1, 2:])  # in another order
    np.testing.assert_array_equal(found[:, 2], found[:, 3])  # there are no more
    np.testing.assert_array_equal(found[0, 0], found[2, 0])
    for row, order in enumerate(orders):
        for column, k in enumerate(ks):
            alone = held_logits(model, ids, source, [order], [k], TOKENS)[0, 0]
            np.testing.assert_allclose(found[row, column], alone, atol=2e-6)
    assert np.ptp(found[:, 1], axis=0).max() > 1e-3


@pytest.mark.parametrize("architecture", ["llama", "qwen3", "gemma2"])
def test_all_parts_together_are_all_of_the_difference(architecture: str, tmp_path: Any) -> None:
    pool = ModelPool(make_checkpoint(tmp_path / "x", architecture=architecture).manifest())
    before = pool.replacement("base").count_hooks()
    ids = (1, *range(30, 38))
    found = item_of(pool, ids)
    ends = found["adapted"], found["base"]
    for direction, (end, start) in enumerate((ends, ends[::-1])):
        of = dict(zip(PART_SETS, found["parts"][direction], strict=True))
        np.testing.assert_allclose(of["features", "adapter", "errors", "attention"], end, atol=1e-5)
        # What adapters write is the cause of all that differs.
        np.testing.assert_allclose(of["adapter", "attention"], end, atol=1e-5)
        # Without what attention's adapters write, something is left.
        assert np.abs(of["features", "adapter", "errors"] - end).max() > 1e-3
        assert np.abs(of["features",] - start).max() > 1e-3
    # All features of an order are all features.
    for direction, experiment in enumerate((GIVEN, TAKEN)):
        np.testing.assert_allclose(found[experiment][0, -1], found["parts"][direction, 0], atol=1e-5)
    by_part = dict(zip(PART_SETS, found["parts"][0], strict=True))
    np.testing.assert_allclose(found[GIVEN_WITH_ADAPTER][0, 0], by_part["adapter",], atol=1e-5)
    np.testing.assert_allclose(found[GIVEN_WITH_ADAPTER][0, -1], by_part["features", "adapter"], atol=1e-5)
    assert pool.replacement("base").count_hooks() == before


def test_an_adapter_on_mlps_alone_is_all_of_its_difference(tmp_path: Any) -> None:
    """`narrow` is on one down projection: F is 1 with what it writes, whatever features do."""
    checkpoint = make_checkpoint(tmp_path / "x")
    pool = ModelPool(checkpoint.manifest())
    ids = (1, *range(30, 38))
    rest = {"random": [], "matched": [], "singles": [], "nulls": []}
    nodes = [[(1, -1), (0, -1), (1, -2)], [(1, -2), (0, -1), (2, -1), (1, -1)], [(1, -1), *EVERY]]
    arguments = {"tokens": TOKENS, "orders": [EVERY], "ks": [1, 3, 4], "node_orders": nodes, **rest}
    found = run_unit(pool, "compute_faithful", "held_logits", "narrow@1.0", ids, arguments)
    # The node is where the adapter is; the others are nothing, and given the node features change nothing.
    ends = (found["base"], found["adapted"]), (found["adapted"], found["base"])
    for name, (host, other) in zip(("node_given", "node_taken"), ends, strict=True):
        expected = np.array([[other] * 3, [host, host, other], [other] * 3])
        np.testing.assert_allclose(found[name][:2], expected[:2], atol=1e-5)
        np.testing.assert_allclose(found[name][2, 0], other, atol=1e-5)
    assert np.abs(found["adapted"] - found["base"]).max() > 1e-2
    np.testing.assert_allclose(found[GIVEN_WITH_ADAPTER][0, 0], found["adapted"], atol=1e-5)


@pytest.mark.parametrize("architecture", ["llama", "qwen3", "gemma2"])
def test_adapter_nodes_are_parts_of_layers(architecture: str, tmp_path: Any) -> None:
    """All MLPs are the part `adapter`, all attention is `attention`, all of both the whole difference."""
    pool = ModelPool(make_checkpoint(tmp_path / "x", architecture=architecture).manifest())
    ids = (1, *range(30, 38))
    mlps, attention = ([(layer, index) for layer in range(3)] for index in (-1, -2))
    changes = {"ks": [3, len(EVERY)], "node_orders": [mlps + attention, attention], "nulls": ["narrow@1.0"]}
    found = item_of(pool, ids, **changes)
    for direction, (name, end) in enumerate((("node_given", "adapted"), ("node_taken", "base"))):
        of = dict(zip(PART_SETS, found["parts"][direction], strict=True))
        np.testing.assert_allclose(found[name][0, 0], of["adapter",], atol=1e-5)
        np.testing.assert_allclose(found[name][0, 1], found[end], atol=1e-5)
        np.testing.assert_allclose(found[name][1], [of["attention",]] * 2, atol=1e-5)
    # A random adapter is a variant like others.
    as_focus = run_unit(
        pool,
        "compute_faithful",
        "held_logits",
        "narrow@1.0",
        ids,
        {"tokens": TOKENS, "orders": [EVERY], "random": [], "matched": [], "singles": [], "nulls": []}
        | {"node_orders": [], "ks": [3, len(EVERY)]},
    )
    np.testing.assert_allclose(found["nulls"], as_focus["adapted"][None], atol=1e-5)
    np.testing.assert_allclose(found["null_given"], as_focus[GIVEN][None], atol=1e-5)
    assert np.abs(found["null_given"] - found["base"]).max() > 1e-4


def test_gradients_are_those_of_the_real_model(
    pool: ModelPool, ids: tuple[int, ...], passes: tuple[Seen, Seen]
) -> None:
    """A finite step at the end of the path: from base to base, where the gradient is base's own."""
    model, base = pool.replacement("base"), passes[0]
    before = model.count_hooks()
    of_both = path_gradients(model, ids, base, base, TOKENS[:2], TOKENS[2:], 1)
    assert model.count_hooks() == before
    step = 1e-2
    rng = np.random.default_rng(0)
    for part, gradients in enumerate(of_both):
        for layer, gradient in enumerate(gradients):
            direction = torch.from_numpy(rng.normal(size=gradient.shape).astype(np.float32))
            direction /= direction.norm()
            odds = []
            for sign in (step, -step):
                added = [[torch.zeros_like(each) for each in gradients] for _ in of_both]
                added[part][layer] = sign * direction
                order = [(layer, -1 - part)]
                nodes = NodesOfOrders(model, Written(outputs=added[0], attention=added[1]), [order])
                logits = held_logits(model, ids, base, [order], [1], TOKENS, beside=nodes)
                odds.append(log_odds(logits[0, 0], EVIL))
            slope = (odds[0] - odds[1]) / (2 * step)
            found = float((gradient * direction).sum())
            assert found == pytest.approx(slope, rel=2e-2, abs=2e-3), (part, layer)
            scores = node_scores(Written(outputs=added[0], attention=added[1]), of_both)
            assert float(scores[part, layer]) == pytest.approx(-step * found, rel=1e-3, abs=1e-6)
            assert scores.count_nonzero() == 1


def test_scores_of_the_last_layer_add_up_to_what_giving_it_does(
    pool: ModelPool, ids: tuple[int, ...], passes: tuple[Seen, Seen]
) -> None:
    """Nothing comes behind it but the final norm, which the path integrates: the axiom of completeness."""
    model, (base, adapted) = pool.replacement("base"), passes
    end = Seen(
        logits=adapted.logits,
        activations=[*base.activations[:-1], adapted.activations[-1]],
        outputs=[],
        attention=[],
        before=[],
        between=[],
    )
    gradients, _ = path_gradients(model, ids, base, end, TOKENS[:2], TOKENS[2:], 40)
    (features, scores, moved) = path_scores(model, base, end, gradients)[-1]
    order = [(2, int(feature)) for feature in features]
    given = held_logits(model, ids, end, [order], [len(order)], TOKENS)[0, 0]
    change = log_odds(given, EVIL) - log_odds(base.logits[TOKENS], EVIL)
    assert abs(change) > 1e-2
    assert float(scores.sum()) == pytest.approx(float(change), rel=1e-2, abs=1e-4)
    assert (moved > 0).all()
    with torch.no_grad():
        assert not any(len(each[0]) for each in path_scores(model, base, base, gradients))
