"""Variants of one pool share a model: an engine never steers with another variant's weights."""

import threading

import numpy as np
import pytest

from pipeline.interventions.engine import SteeringEngine
from pipeline.interventions.kinds import Intervention
from pipeline.models.loading import load_replacement
from pipeline.models.pool import ModelPool
from store.documents.manifest import Manifest

PAIR = ("base", "general@1.0")
DOUBLED = Intervention(layer=0, feature=3, mode="multiply", value=2.0)


class _Turn:
    """A lock that sets a variant; one for all pools is enough here."""

    _lock = threading.RLock()

    def __init__(self, pool: ModelPool, variant: str) -> None:
        self._pool, self._variant = pool, variant

    def __enter__(self) -> None:
        self._lock.acquire()
        self._pool.replacement(self._variant)

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def logits(engine: SteeringEngine, ids: tuple[int, ...]) -> np.ndarray:
    return engine.next_token(ids, [DOUBLED], controls=0).steered_logits


@pytest.fixture(scope="module")
def alone(manifest: Manifest, ids: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Of engines that own their model."""
    return {
        name: logits(SteeringEngine(load_replacement(manifest, manifest.variant(name))), ids) for name in PAIR
    }


def test_an_engine_whose_weights_were_changed_refuses(manifest: Manifest, ids: tuple[int, ...]) -> None:
    pool = ModelPool(manifest)
    first = SteeringEngine(pool.replacement("base"))
    second = SteeringEngine(pool.replacement("general@1.0"))
    with pytest.raises(RuntimeError, match=r"the weights of general@1\.0 now, and this is of base"):
        logits(first, ids)
    logits(second, ids)
    pool.replacement("base")
    with pytest.raises(RuntimeError, match=r"the weights of base now, and this is of general@1\.0"):
        logits(second, ids)
    assert logits(first, ids).shape == (manifest.model.vocab_size,)


def test_a_sample_does_not_go_on_with_other_weights(manifest: Manifest, ids: tuple[int, ...]) -> None:
    pool = ModelPool(manifest)
    engine = SteeringEngine(pool.replacement("base"))
    steps = engine.sample(ids, [DOUBLED], n=2, max_new_tokens=4)
    next(steps)
    pool.replacement("general@1.0")
    with pytest.raises(RuntimeError, match="Take turns"):
        list(steps)


def test_engines_that_take_turns_have_their_own_weights(
    manifest: Manifest, ids: tuple[int, ...], alone: dict[str, np.ndarray]
) -> None:
    pool = ModelPool(manifest)
    engines = {name: SteeringEngine(pool.replacement(name), lock=_Turn(pool, name)) for name in PAIR}
    assert np.abs(alone["base"] - alone["general@1.0"]).max() > 1e-2
    found: dict[str, list[np.ndarray]] = {name: [] for name in PAIR}

    def steer(name: str) -> None:
        found[name] += [logits(engines[name], ids) for _ in range(8)]

    threads = [threading.Thread(target=steer, args=(name,)) for name in PAIR]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in PAIR:
        assert len(found[name]) == 8
        for each in found[name]:
            np.testing.assert_allclose(each, alone[name], atol=1e-5)
