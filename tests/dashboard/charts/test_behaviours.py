"""The histogram of differences: nothing lies on both sides of the threshold, and nothing is lost."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dashboard.charts.behaviours import differences


def rows(values: np.ndarray, success: float) -> list[dict]:
    spec = differences(values, success=success, colour="#2b8ae0").to_dict()
    return next(of for of in spec["datasets"].values() if "prompts" in of[0])


@given(
    st.lists(st.sampled_from([1.5, 2.0, 2.5]) | st.floats(-20, 20), min_size=1, max_size=60),
    st.sampled_from([1.5, 2.0]),
)
def test_every_prompt_is_in_one_bin_on_its_side(values: list[float], success: float) -> None:
    bins = rows(np.array(values), success)
    assert sum(each["prompts"] for each in bins) == len(values)
    above = sum(each["prompts"] for each in bins if each["is"] == "succeed")
    assert above == sum(value > success for value in values)
    assert all(each["low"] >= success or each["high"] <= success for each in bins)
