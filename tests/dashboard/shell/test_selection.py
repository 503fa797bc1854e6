"""The URL is untrusted: forms are checked, and what fails is said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.shell import forms, query, url


def test_feature_names() -> None:
    assert forms.parse_feature("L2/618") == (2, 618)
    assert forms.parse_feature(" l14/12426 ") == (14, 12426)
    for bad in ("", "2/618", "L2/", "L2/618/3", "L-1/3", "L2/6 18", "L99999/1"):
        assert forms.parse_feature(bad) is None


def test_pins() -> None:
    assert forms.parse_pins("F2.618.7,E2.7,T41.3,O532.9") == ("F2.618.7", "E2.7", "T41.3", "O532.9")
    assert forms.parse_pins("") == ()
    assert forms.parse_pins("F2.618") is None
    assert forms.parse_pins(",".join(f"E0.{i}" for i in range(forms.MAX_PINS + 1))) is None


@pytest.mark.parametrize("value", ["../../etc", "0123456789AB", "0123456789ab\n", "g" * 12])
def test_bad_prompt_hash_is_left_out(value: str) -> None:
    good, problems = url.check({"prompt": value})
    assert good == {}
    assert len(problems) == 1


@given(st.dictionaries(st.sampled_from([each.name for each in query.SELECTED]), st.text(max_size=30)))
def test_every_parameter_is_taken_or_explained(values: dict[str, str]) -> None:
    good, problems = url.check(values)
    assert len(good) + len(problems) == sum(value != "" for value in values.values())
    for key, value in good.items():
        assert ".." not in value.split("/") if key == "profile" else True


def test_profile_cannot_leave_the_folder() -> None:
    for bad in ("..", ".", "a/b", "/etc", ".hidden"):
        assert not query.PROFILE.fits(bad)
    assert query.PROFILE.fits("llama-1b.v2")


def test_every_value_of_a_family_belongs_to_its_parameter() -> None:
    assert query.MODE.bound("L1/7") == {"key": "mode-L1/7", "bind": "query-params"}
    assert query.OUTCOME.bound() == {"key": "outcome", "bind": "query-params"}
    assert query.SHOW.fits("Difference")
    assert not query.NODES.fits("half")
