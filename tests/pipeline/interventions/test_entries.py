"""Settings as plain JSON: the same back, one digest for what does the same, mistakes named."""

import json
from typing import Any

import pytest
from hypothesis import given
from pydantic import ValidationError

from pipeline.interventions.entries import Entry, plain_setting, setting_digest, setting_of
from pipeline.interventions.kinds import Intervention
from store.base.hashing import digest
from store.collections.item import UNSTEERED
from tests.support.settings import settings_of_steps

DICTIONARY = "d" * 64


@given(setting=settings_of_steps())
def test_a_setting_comes_back_from_json(setting) -> None:
    plain = json.loads(json.dumps(plain_setting(setting)))
    assert setting_of(plain) == setting
    assert setting_digest(setting_of(plain), DICTIONARY) == setting_digest(setting, DICTIONARY)


@given(one=settings_of_steps(), other=settings_of_steps())
def test_settings_that_differ_have_digests_that_differ(one, other) -> None:
    same = setting_digest(one, DICTIONARY) == setting_digest(other, DICTIONARY)
    assert not same or sorted(map(_acts, one)) == sorted(map(_acts, other))
    assert same or one != other
    assert setting_digest(one, "e" * 64) != setting_digest(one, DICTIONARY)


def _acts(step) -> str:
    """A step with its positions as a set, each with its value."""
    where = step.where if isinstance(step.where, str) else sorted({*step.where})
    values = [value + 0.0 for value in step.values]
    if len(values) > 1:
        values = sorted(zip(step.where, values, strict=True))
    return repr((type(step).__name__, step.name, getattr(step, "mode", ""), where, values))


def test_a_digest_is_of_what_is_done() -> None:
    step = {"layer": 2, "feature": 7, "mode": "set", "value": (1.0, 2.0), "where": (3, 5)}
    one = Intervention(**step)
    assert setting_digest((), DICTIONARY) == UNSTEERED
    said = [{"feature": "L2/7", "mode": "set", "value": [1.0, 2.0], "where": [3, 5]}]
    assert setting_digest((one,), DICTIONARY) == digest({"transcoders": DICTIONARY, "steps": said})
    turned = Intervention(**{**step, "value": (2.0, 1.0), "where": (5, 3)})
    assert setting_digest((turned,), DICTIONARY) == setting_digest((one,), DICTIONARY)
    for change in ({"value": (2.0, 1.0)}, {"where": (3, 6)}, {"feature": 8}, {"layer": 1}, {"mode": "add"}):
        assert setting_digest((Intervention(**{**step, **change}),), DICTIONARY) != setting_digest(
            (one,), DICTIONARY
        )
    whole = Intervention(layer=0, feature=1, mode="add", value=1, where="last")
    assert setting_digest((whole,), DICTIONARY) == setting_digest(
        (Intervention(layer=0, feature=1, mode="add", value=1.0, where="last"),), DICTIONARY
    )
    pair = (one, whole)
    assert setting_digest(pair, DICTIONARY) != setting_digest(pair[::-1], DICTIONARY), "steps have an order"


FEATURE: dict[str, Any] = {"feature": "L2/7", "mode": "add", "value": 1.0, "where": "last"}
VECTOR: dict[str, Any] = {"layer": 1, "direction": [1.0, 2.0], "value": 1.0, "where": "always"}


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({**FEATURE, "feature": "2/7"}, "layer and index, for instance L2/618, not '2/7'"),
        ({**FEATURE, "feature": "L٢/7"}, "layer and index"),
        ({**FEATURE, "mode": "double"}, "Input should be 'set', 'add'"),
        ({**FEATURE, "mode": None}, "feature L2/7 needs 'mode'"),
        ({**FEATURE, "value": None}, "feature L2/7 needs 'value'"),
        ({**FEATURE, "mode": "ablate"}, "ablate takes no value"),
        ({**FEATURE, "value": True}, "valid number"),
        ({**FEATURE, "value": float("inf")}, "finite number"),
        ({**FEATURE, "where": "first"}, "Input should be 'last'"),
        ({**FEATURE, "where": []}, "at least 1"),
        ({**FEATURE, "where": [-1]}, "greater than or equal to 0"),
        ({**FEATURE, "value": [1.0, 2.0]}, "values by position need as many different positions"),
        ({**FEATURE, "value": [1.0, 2.0], "where": [3, 3]}, "values by position need as many different"),
        ({**FEATURE, "layer": 1}, "feature L2/7 has no 'layer'"),
        ({**FEATURE, "site": "mlp"}, "feature L2/7 has no 'site'"),
        ({**VECTOR, "mode": "add"}, "a direction has no 'mode'"),
        ({**VECTOR, "direction": None}, "a direction needs 'direction'; a step has a feature and a mode"),
        ({**VECTOR, "value": None}, "a direction needs 'value'"),
        ({**VECTOR, "site": "attention"}, "Input should be 'mlp' or 'residual'"),
        ({**VECTOR, "strength": 1}, "Extra inputs"),
    ],
)
def test_a_step_that_is_none_is_refused(said, message) -> None:
    with pytest.raises(ValidationError, match=message):
        Entry.model_validate(said)
