"""Variants: one name for one set of weights."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.base.errors import UserError
from store.documents.variants import Variant

ADAPTERS = ("general", "narrow")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("base", "base"),
        ("general", "general@1.0"),
        ("general@1", "general@1.0"),
        ("narrow@0.5", "narrow@0.5"),
        ("narrow@-1", "narrow@-1.0"),
        ("general@0", "base"),
        ("general@-0.0", "base"),
    ],
)
def test_parses_to_one_name(text: str, name: str) -> None:
    assert str(Variant.parse(text, ADAPTERS)) == name


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_name_round_trips(scale: float) -> None:
    variant = Variant(name="general", scale=scale)
    assert Variant.parse(str(variant), ADAPTERS) == variant


@pytest.mark.parametrize("text", ["medical", "medical@1.0", "", "@1", "Base"])
def test_unknown_variant_lists_what_there_is(text: str) -> None:
    with pytest.raises(UserError, match=r"there is base, general@1\.0, narrow@1\.0"):
        Variant.parse(text, ADAPTERS)


@pytest.mark.parametrize("text", ["general@", "general@x", "general@nan", "general@inf", "base@1"])
def test_wrong_scale_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="scale"):
        Variant.parse(text, ADAPTERS)
