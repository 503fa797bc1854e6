"""Sampled continuations: cached equals uncached, seeds, stops, and what a stream yields."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.interventions.engine import SteeringEngine
from pipeline.interventions.kinds import Intervention
from pipeline.interventions.results import Continuations
from pipeline.interventions.runner import Runner
from tests.support.interventions import uncached

WHERES = ["last", (1,), (0, 3, 5), "prompt", "generated", "always"]


def setting(where: Any) -> list[Intervention]:
    return [
        Intervention(layer=0, feature=3, mode="add", value=4.0, where=where),
        Intervention(layer=1, feature=8, mode="set", value=3.0, where=where),
        Intervention(layer=1, feature=20, mode="multiply", value=3.0, where="always"),
    ]


def last(samples: Any) -> Continuations:
    *_, result = samples
    assert result.done
    return result


@pytest.fixture
def no_stops(engine: SteeringEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine._runner, "stops", ())


@pytest.mark.parametrize("where", WHERES)
@pytest.mark.usefixtures("no_stops")
def test_cached_equals_uncached(
    engine: SteeringEngine, ids: tuple[int, ...], where: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trap 10: in a cached step the only token has index 0 and is not the prompt's first."""
    logits: list[np.ndarray] = []
    run = Runner.run

    def record(self: Runner, *args: Any, **kwargs: Any) -> np.ndarray:
        result = run(self, *args, **kwargs)
        if kwargs.get("cache") is not None:
            logits.append(result.reshape(len(result), -1))  # the prompt's has an axis of ends
        return result

    with monkeypatch.context() as patch:
        patch.setattr(Runner, "run", record)
        result = last(engine.sample(ids, setting(where), n=2, max_new_tokens=6, seed=3))
    assert len(logits) == 6
    assert len(logits[0]) == 2
    for side, samples, what in ((0, result.before, []), (1, result.after, setting(where))):
        np.testing.assert_allclose(logits[0][side], uncached(engine, ids, what), atol=1e-5)
        for number, sample in enumerate(samples):
            for step in range(1, 6):
                whole = (*ids, *sample[:step])
                expected = uncached(engine, whole, what, prompt_length=len(ids))
                np.testing.assert_allclose(logits[step][2 * side + number], expected, atol=2e-5)


@pytest.mark.usefixtures("no_stops")
def test_the_prompt_and_what_is_generated_are_always(engine: SteeringEngine, ids: tuple[int, ...]) -> None:
    whole = (*ids, 50, 60)

    def logits(*wheres: Any, length: int = len(ids)) -> np.ndarray:
        steps = [Intervention(layer=1, feature=8, mode="add", value=5.0, where=where) for where in wheres]
        return uncached(engine, whole, steps, prompt_length=length)

    np.testing.assert_array_equal(logits("always"), logits("prompt", length=len(whole)))
    np.testing.assert_array_equal(logits("always"), logits("prompt", "generated"))
    parts = [logits(where) for where in ("prompt", "generated", "always")]
    assert min(np.abs(parts[one] - parts[one - 1]).max() for one in range(3)) > 1e-3


@pytest.mark.usefixtures("no_stops")
def test_the_most_probable_tokens_are_those_of_uncached_greedy(
    engine: SteeringEngine, ids: tuple[int, ...]
) -> None:
    what = setting("always")
    result = last(engine.sample(ids, what, n=1, max_new_tokens=5, temperature=0))
    for samples, done in ((result.before[0], []), (result.after[0], what)):
        whole = list(ids)
        for token in samples:
            assert token == int(uncached(engine, whole, done, prompt_length=len(ids)).argmax())
            whole.append(token)
    assert result.before != result.after


@pytest.mark.usefixtures("no_stops")
def test_doing_nothing_samples_the_same(engine: SteeringEngine, ids: tuple[int, ...]) -> None:
    nothing = [Intervention(layer=1, feature=8, mode="add", value=0.0, where="always")]
    result = last(engine.sample(ids, nothing, n=8, max_new_tokens=6))
    assert result.before == result.after
    assert len(set(result.before)) == 8


@pytest.mark.usefixtures("no_stops")
def test_a_seed_fixes_the_samples(engine: SteeringEngine, ids: tuple[int, ...]) -> None:
    def draw(seed: int) -> Continuations:
        return last(engine.sample(ids, setting("always"), n=4, max_new_tokens=5, seed=seed))

    torch.manual_seed(1)
    first = draw(0)
    torch.manual_seed(2)
    assert draw(0) == first
    assert draw(1).before != first.before


@pytest.mark.usefixtures("no_stops")
def test_samples_follow_both_distributions(engine: SteeringEngine, ids: tuple[int, ...]) -> None:
    what, n = setting("last"), 4000
    result = last(engine.sample(ids, what, n=n, max_new_tokens=1, temperature=0.7))
    for samples, done in ((result.before, []), (result.after, what)):
        scores = uncached(engine, ids, done).astype(np.float64) / 0.7
        expected = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
        counts = Counter(sample[0] for sample in samples)
        for token in np.argsort(-expected)[:20].tolist():
            error = 5 * np.sqrt(expected[token] * (1 - expected[token]) / n)
            assert abs(counts[token] / n - expected[token]) < error


@pytest.mark.usefixtures("no_stops")
def test_a_stream_grows_token_by_token(engine: SteeringEngine, ids: tuple[int, ...]) -> None:
    stream = list(engine.sample(ids, setting("prompt"), n=3, max_new_tokens=5))
    assert [part.step for part in stream] == [1, 2, 3, 4, 5]
    assert [part.done for part in stream] == [False] * 4 + [True]
    for part in stream:
        for side in ("before", "after"):
            for now, end in zip(getattr(part, side), getattr(stream[-1], side), strict=True):
                assert len(now) == part.step
                assert end[: part.step] == now


def test_a_sample_ends_before_its_stop(
    engine: SteeringEngine, ids: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine._runner, "stops", tuple(range(0, 330, 2)))
    stream = list(engine.sample(ids, setting("prompt"), n=4, max_new_tokens=30))
    assert stream[-1].done
    assert stream[-1].step < 30
    assert all(token % 2 for row in (*stream[-1].before, *stream[-1].after) for token in row)
    assert len({len(row) for row in stream[-1].before}) > 1


@pytest.mark.usefixtures("no_stops")
def test_the_context_is_never_exceeded(engine: SteeringEngine) -> None:
    result = last(engine.sample([1] + [7] * 60, setting("last"), n=2, max_new_tokens=10))
    assert [len(row) for row in result.before] == [3, 3]
    full = last(engine.sample([1] + [7] * 63, [], n=2, max_new_tokens=10))
    assert full.before == full.after == ((), ())
