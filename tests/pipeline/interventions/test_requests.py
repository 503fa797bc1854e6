"""Many prompts, settings and samples in one batch: what each gets alone, to the last digits."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.interventions.borrowed import patch
from pipeline.interventions.continuations import _draw_alike
from pipeline.interventions.engine import SteeringEngine
from pipeline.interventions.kinds import FREE, KINDS, Frozen, Intervention, Step, Vector
from pipeline.interventions.results import Generated, Request
from pipeline.models.replacement import ReplacementModel
from store.base.errors import UserError
from tests.support.interventions import generated_by_circuit_tracer

FEW: Final = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
ALL: Final = Frozen(attention=True, norms=True, mlps=(0, 1, 2))


@st.composite
def requests(draw: Any) -> Request:
    """Any prompt, whatever is done to it, and what is forced behind it."""
    ids = (1, *draw(st.lists(st.integers(3, 299), min_size=1, max_size=13)))
    forced = tuple(draw(st.lists(st.integers(3, 299), max_size=3)))
    places: st.SearchStrategy[Any] = st.sampled_from(["last", "prompt", "generated", "always"])
    places |= st.lists(st.integers(0, len(ids) - 1), min_size=1, max_size=3, unique=True).map(tuple)
    steps: list[Step] = []
    for _ in range(draw(st.integers(0, 4))):
        where, layer, mode = draw(places), draw(st.integers(0, 2)), draw(st.sampled_from(list(KINDS)))
        number = st.floats(-3, 3, width=16)
        value = draw(st.tuples(*[number] * len(where)) if isinstance(where, tuple) else number)
        if draw(st.integers(0, 4)) == 0:
            direction = tuple(float((place * 7 + layer) % 5 - 2) for place in range(32))
            site = draw(st.sampled_from(["mlp", "residual"]))
            steps.append(Vector(layer=layer, direction=direction, value=value, where=where, site=site))
        else:
            value = value if KINDS[mode].valued else 0.0
            feature = draw(st.integers(0, 63))
            steps.append(Intervention(layer=layer, feature=feature, mode=mode, value=value, where=where))
    return Request(token_ids=ids, setting=tuple(steps), forced=forced)


@FEW
@given(st.lists(requests(), min_size=2, max_size=5), st.sampled_from([FREE, Frozen(attention=True), ALL]))
def test_a_batch_is_each_alone_in_any_order(
    engine: SteeringEngine, many: list[Request], frozen: Frozen
) -> None:
    together = engine.forced(many, frozen=frozen)
    backwards = engine.forced(many[::-1], frozen=frozen)[::-1]
    for request, of_batch, other in zip(many, together, backwards, strict=True):
        (alone,) = engine.forced([request], frozen=frozen)
        assert alone.shape == (1 + len(request.forced), 320)
        np.testing.assert_allclose(of_batch, alone, atol=1e-5)
        np.testing.assert_allclose(other, alone, atol=1e-5)


@FEW
@given(requests())
def test_what_does_nothing_changes_no_bit_of_a_batch(engine: SteeringEngine, request_: Request) -> None:
    """A factor of 1, nothing added, a patch of the prompt with itself, each beside what does something."""
    ids, where = request_.token_ids, tuple(range(len(request_.token_ids)))
    activity = {layer: engine.activations(ids, layer) for layer in range(3)}
    features = [(layer, int(activity[layer].sum(axis=0).argmax())) for layer in range(3)]
    nothing: list[Step] = [
        Intervention(layer=layer, feature=feature, mode=mode, value=value, where="always")
        for layer, feature in features
        for mode, value in (("multiply", 1.0), ("add", 0.0), ("inhibit", -1.0))
    ]
    nothing.append(Vector(layer=1, direction=(1.0,) * 32, value=0.0, where="always"))
    plain = Request(token_ids=ids, forced=request_.forced)
    still = Request(token_ids=ids, forced=request_.forced, setting=tuple(nothing))
    with_nothing = engine.forced([still, request_])[0]
    np.testing.assert_array_equal(with_nothing, engine.forced([plain, request_])[0])
    itself = patch(features, activity, where)
    result = engine.next_token(ids, itself, controls=0)
    np.testing.assert_array_equal(result.steered_logits, result.baseline_logits)


@FEW
@given(requests(), st.sampled_from([FREE, ALL]))
def test_ablating_twice_is_once_and_features_have_no_order(
    engine: SteeringEngine, request_: Request, frozen: Frozen
) -> None:
    def logits(steps: Sequence[Step]) -> np.ndarray:
        one = Request(token_ids=request_.token_ids, setting=tuple(steps), forced=request_.forced)
        return engine.forced([one], frozen=frozen)[0]

    ablations = [
        Intervention(layer=layer, feature=int(feature), mode="ablate", value=0.0, where="always")
        for layer in range(3)
        for feature in engine.activations(request_.token_ids, layer)[-1].argsort()[-2:]
    ]
    once = logits(ablations)
    np.testing.assert_array_equal(logits([*ablations, *ablations]), once)
    np.testing.assert_allclose(logits(ablations[::-1]), once, atol=1e-5)


def test_padding_and_other_rows_change_no_bit(
    engine: SteeringEngine, ids: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Intervention(layer=1, feature=8, mode="add", value=5.0, where="always")
    short = Request(token_ids=ids[:5], setting=(one,))
    first = engine.forced([short, Request(token_ids=ids, setting=(one,))])[0]
    second = engine.forced([short, Request(token_ids=ids[::-1], setting=(one,))])[0]
    np.testing.assert_array_equal(first, second)
    monkeypatch.setattr("pipeline.interventions.runner._PADDING", 77)
    np.testing.assert_array_equal(engine.forced([short, Request(token_ids=ids, setting=(one,))])[0], first)


def last(stream: Any) -> Generated:
    *_, result = stream
    assert result.done
    return result


@pytest.fixture(params=["never", "often"])
def stops(engine: SteeringEngine, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts that never end, or so soon that the batch is made smaller again and again."""
    ends = () if request.param == "never" else tuple(range(0, 320, 3))
    monkeypatch.setattr(engine._runner, "stops", ends)


@pytest.mark.usefixtures("stops")
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_samples_are_what_each_request_draws_alone(
    engine: SteeringEngine, ids: tuple[int, ...], temperature: float
) -> None:
    """Whatever else is in the batch, in whatever order; settings of one prompt use the same numbers."""
    always = Intervention(layer=1, feature=8, mode="add", value=5.0, where="always")
    behind = Intervention(layer=0, feature=3, mode="set", value=4.0, where="generated")
    along = Vector(layer=2, direction=(0.5,) * 32, value=2.0, where="generated", site="residual")
    many = [
        Request(token_ids=ids),
        Request(token_ids=ids[:4], setting=(always,)),
        Request(token_ids=ids, setting=(behind, along)),
        Request(token_ids=ids, setting=(Intervention(layer=1, feature=8, mode="add", value=0.0),)),
        Request(token_ids=ids[:7], setting=(always, behind), forced=(50, 60)),
        # The context ends behind three tokens, and behind none: the others go on.
        Request(token_ids=(1, *[7] * 60), setting=(always,)),
        Request(token_ids=(1, *[7] * 63)),
    ]
    how: dict[str, Any] = {"n": 6, "max_new_tokens": 8, "temperature": temperature, "seed": 3}
    together = last(engine.generate(many, **how)).texts
    assert together == last(engine.generate(many[::-1], **how)).texts[::-1]
    for request, texts in zip(many, together, strict=True):
        assert last(engine.generate([request], **how)).texts[0] == texts
    assert max(map(len, together[-2])) <= 3
    assert together[-1] == ((),) * 6
    assert together[0] == together[3]
    if any(together[0]):
        assert together[0] != together[2]
    if temperature:
        assert len(set(together[0])) > 1


def test_what_is_generated_is_circuit_tracers(replacement: ReplacementModel, ids: tuple[int, ...]) -> None:
    """feature_intervention_generate, open-ended, free and with the prompt's attention frozen."""
    engine, length = SteeringEngine(replacement), 5
    setting = tuple(
        Intervention(layer=layer, feature=feature, mode="set", value=6.0, where="always")
        for layer, feature in ((0, 3), (1, 8), (2, 9))
    )
    for frozen in (FREE, Frozen(attention=True)):
        theirs = generated_by_circuit_tracer(
            replacement, ids, setting, length, freeze_attention=frozen.attention
        )
        tokens = tuple(theirs.argmax(axis=-1).tolist())
        request = Request(token_ids=ids, setting=setting)
        ours = last(engine.generate([request], n=1, max_new_tokens=length, temperature=0, frozen=frozen))
        assert ours.texts[0][0] == tokens
        forced = Request(token_ids=ids, setting=setting, forced=tokens[:-1])
        (logits,) = engine.forced([forced], frozen=frozen)
        same = len(logits) if frozen == FREE else 1  # what follows is free there, and frozen here
        np.testing.assert_allclose(logits[:same], theirs[:same], atol=1e-4)


def test_bad_requests_are_one_sentence(engine: SteeringEngine, ids: tuple[int, ...]) -> None:
    beyond = Intervention(layer=1, feature=3, mode="add", value=1.0, where=(len(ids),))
    for request, says in (
        (Request(token_ids=ids, setting=(beyond,), forced=(5,)), "are not all within 0 to 11"),
        (Request(token_ids=ids, forced=(5,) * 60), "72 tokens long; the model takes 1 to 64"),
        (Request(token_ids=()), "0 tokens long"),
    ):
        with pytest.raises(UserError, match=says):
            engine.forced([request])
        with pytest.raises(UserError, match=says):
            engine.generate([request], n=1, max_new_tokens=1)
    assert engine.forced([]) == []


def test_two_prompts_draw_independently_and_settings_of_one_alike(ids: tuple[int, ...]) -> None:
    one = Intervention(layer=1, feature=8, mode="add", value=5.0)
    many = [Request(token_ids=ids), Request(token_ids=ids, setting=(one,)), Request(token_ids=ids[:-1])]
    choose = _draw_alike(many, 20, 1.0, seed=0)
    for _ in range(2):
        first, steered, other = choose(torch.zeros((60, 320))).reshape(3, 20).tolist()
        assert first == steered
        assert sum(a == b for a, b in zip(first, other, strict=True)) < 5
        assert len(set(first)) > 10
