"""How a ranking reads, where little is known of it."""

import numpy as np
import pandas as pd
import pytest

from dashboard.views.features.reading import found_words


def ranking(n_effective: list[float]) -> pd.DataFrame:
    return pd.DataFrame(
        {"found": [True] + [False] * (len(n_effective) - 1), "q": 0.01, "n_effective": n_effective}
    )


def test_few_independent_situations_are_the_median_of_what_is_known() -> None:
    assert "worth 4.00 (median)" in found_words(ranking([4.0, 90.0, np.nan]), {}, "direct")
    few = ranking([np.nan, 3.0, np.nan, 7.0]).assign(found=False)
    assert "worth 5.00 (median)" in found_words(few, {}, "direct")
    assert "Few" not in found_words(ranking([12.0, 1.0]), {}, "direct")


@pytest.mark.parametrize(
    "frame", [ranking([np.nan, np.nan]), ranking([np.nan] * 2).assign(found=False), ranking([1.0])[:0]]
)
def test_where_no_number_is_known_none_is_said(frame: pd.DataFrame) -> None:
    words = found_words(frame, {}, "direct")
    assert "features are found" in words
    assert "Few" not in words
