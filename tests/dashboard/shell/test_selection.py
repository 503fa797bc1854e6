"""The URL is untrusted: forms are checked, and what fails is said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.shell import selection


def test_feature_names() -> None:
    assert selection.parse_feature("L2/618") == (2, 618)
    assert selection.parse_feature(" l14/12426 ") == (14, 12426)
    for bad in ("", "2/618", "L2/", "L2/618/3", "L-1/3", "L2/6 18", "L99999/1"):
        assert selection.parse_feature(bad) is None


def test_pins() -> None:
    assert selection.parse_pins("F2.618.7,E2.7,T41.3,O532.9") == ("F2.618.7", "E2.7", "T41.3", "O532.9")
    assert selection.parse_pins("") == ()
    assert selection.parse_pins("F2.618") is None
    assert selection.parse_pins(",".join(f"E0.{i}" for i in range(selection.MAX_PINS + 1))) is None


@pytest.mark.parametrize("value", ["../../etc", "0123456789AB", "0123456789ab\n", "g" * 12])
def test_bad_prompt_hash_is_left_out(value: str) -> None:
    good, problems = selection.check_url({"prompt": value})
    assert good == {}
    assert len(problems) == 1


@given(st.dictionaries(st.sampled_from(selection.URL_KEYS), st.text(max_size=30)))
def test_every_parameter_is_taken_or_explained(values: dict[str, str]) -> None:
    good, problems = selection.check_url(values)
    assert len(good) + len(problems) == sum(value != "" for value in values.values())
    for key, value in good.items():
        assert ".." not in value.split("/") if key == "profile" else True


def test_profile_cannot_leave_the_folder() -> None:
    for bad in ("..", ".", "a/b", "/etc", ".hidden"):
        assert not selection.well_formed("profile", bad)
    assert selection.well_formed("profile", "llama-1b.v2")
