"""What the workbench asks of loaded variants, against the engine asked one thing at a time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from pipeline.interventions.kinds import FREE, Frozen, Intervention
from pipeline.interventions.results import Request
from pipeline.live import LivePool, LiveSubject, borrowed, dose_response, frozen_by_name, sample_sides
from pipeline.live.workbench import at_strength
from store.base.errors import UserError
from store.documents.manifest import Manifest, write_manifest
from store.schema.vocabulary import FROZEN

IDS = (1, 40, 7, 99, 150, 12, 33, 8)


@pytest.fixture(scope="module")
def pair(manifest: Manifest, tmp_path_factory: pytest.TempPathFactory) -> tuple[LiveSubject, LiveSubject]:
    folder = tmp_path_factory.mktemp("workbench")
    write_manifest(folder / "models.json", manifest)
    pool = LivePool(folder / "models.json", folder)
    return pool.subject("base"), pool.subject("general@1.0")


def active(subject: LiveSubject, layer: int) -> int:
    return int(subject.engine.activations(IDS, layer)[-1].argmax())


def test_all_sides_are_what_each_would_be_alone(pair: tuple[LiveSubject, LiveSubject]) -> None:
    base, adapted = pair
    setting = (Intervention(layer=1, feature=7, mode="add", value=30.0, where="always"),)
    common = {"n": 3, "max_new_tokens": 5, "temperature": 1.0}
    *_, last = steps = list(sample_sides(base, adapted, IDS, setting, **common, forced=(21,), frozen=FREE))
    assert [one.step for one in steps] == [*range(1, 6), *range(1, 6)]
    assert [one.done for one in steps] == [False] * 9 + [True]
    assert [one.steered for one in steps] == [False] * 4 + [True] * 6
    for side, subject, of in (
        (last.before, base, ()),
        (last.after, base, setting),
        (last.other, adapted, ()),
    ):
        (*_, alone) = subject.engine.generate(
            [Request(token_ids=IDS, setting=of, forced=(21,), seed=0)], **common
        )
        assert side == alone.texts[0]
    assert last.before != last.after
    *_, without = sample_sides(base, None, IDS, setting, **common, forced=(), frozen=FREE)
    assert without.done
    assert without.other == ()
    assert without.before != last.before, "what is forced is read"


def test_a_borrowed_value_is_the_other_variants(pair: tuple[LiveSubject, LiveSubject]) -> None:
    base, adapted = pair
    feature = (2, active(adapted, 2))
    theirs = adapted.engine.activations(IDS, 2)[:, feature[1]]
    for where, positions in (("last", (7,)), ((2, 5), (2, 5)), ("prompt", tuple(range(1, 8)))):
        one = borrowed(adapted, IDS, feature, where)
        assert (one.mode, one.where) == ("patch", positions)
        np.testing.assert_array_equal(one.value, theirs[list(positions)])
    own = borrowed(base, IDS, feature, "prompt")
    np.testing.assert_allclose(
        base.engine.logits(IDS, [(own,)])[0], base.engine.logits(IDS, [()])[0], atol=1e-5
    )
    for where in ("generated", "always"):
        with pytest.raises(UserError, match="known at the prompt's tokens alone"):
            borrowed(adapted, IDS, feature, where)


MODES = {"set": 3.0, "add": 2.0, "multiply": -4.0, "ablate": 0.0, "inhibit": 2.0}


@given(strength=st.floats(-2, 4), mode=st.sampled_from(sorted(MODES)), f=st.floats(-50, 50))
def test_a_strength_is_so_much_of_what_is_done(strength: float, mode, f: float) -> None:
    one = Intervention(layer=0, feature=1, mode=mode, value=MODES[mode], where="last")
    at, activation = np.array([3]), np.array([f])
    wanted = activation + strength * (one.apply(activation, at) - activation)
    got = activation
    for step in at_strength((one,), strength):
        got = step.apply(got, at)
    np.testing.assert_allclose(got, wanted, atol=1e-9 * (1 + 60 * (1 + abs(strength))))


def test_a_dose_response_is_of_setting_and_controls_alike(pair: tuple[LiveSubject, LiveSubject]) -> None:
    base, _ = pair
    setting = (Intervention(layer=1, feature=active(base, 1), mode="multiply", value=-6.0, where="prompt"),)
    steered, controls = dose_response(base.engine, IDS, setting, (0.0, 0.5, 1.0), FREE)
    assert controls.shape[1] > 0
    whole = base.engine.next_token(IDS, setting, controls=controls.shape[1])
    plain = base.engine.logits(IDS, [()])[0]
    np.testing.assert_allclose(steered[0], softmax(plain), atol=1e-6)
    np.testing.assert_allclose(controls[0], np.tile(softmax(plain), (len(controls[0]), 1)), atol=1e-6)
    np.testing.assert_allclose(steered[2], whole.steered_probability, atol=1e-6)
    np.testing.assert_allclose(controls[2], whole.control_probability, atol=1e-6)
    half = (Intervention(layer=1, feature=setting[0].feature, mode="multiply", value=-2.5, where="prompt"),)
    np.testing.assert_allclose(steered[1], softmax(base.engine.logits(IDS, [half])[0]), atol=1e-6)
    with pytest.raises(UserError, match="change each feature once"):
        dose_response(base.engine, IDS, (*setting, *setting), (1.0,), FREE)


def test_every_word_for_what_is_frozen_is_known(pair: tuple[LiveSubject, LiveSubject]) -> None:
    found = [frozen_by_name(pair[0], name) for name in FROZEN]
    assert found[0] == FREE
    assert len(set(found)) == len(FROZEN)
    assert found[-1] == Frozen(attention=True, norms=True, mlps=tuple(range(pair[0].n_layers)))
