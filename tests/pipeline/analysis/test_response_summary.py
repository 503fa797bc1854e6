"""How far features of whole answers agree with those of tokens."""

import numpy as np
import pytest
import xarray as xr
from scipy.stats import spearmanr

from pipeline.analysis.response_summary import response_summary

VARIANT = "general@1.0"


def of_answers(standardized: np.ndarray, q: np.ndarray) -> dict[str, xr.Dataset]:
    """Two contrasts that were tested (own and base), and one that was not."""
    n = len(standardized)
    about = {
        "judge": ["rubric"] * 3,
        "variant": [VARIANT, VARIANT, "base"],
        "reader": ["own", "base", "own"],
        "reason": ["", "", "too few"],
    }
    table = np.full((3, 2, n), np.nan)
    table[0, 0], table[1, 0] = standardized, -standardized
    of_q = np.full_like(table, np.nan)
    of_q[:2, 0] = q
    dims = ("contrast", "statistic", "feature")
    return {
        "contrasts": xr.Dataset(
            {name: ("contrast", np.array(of, dtype=object)) for name, of in about.items()}
        ),
        "ranking": xr.Dataset(
            {"standardized": (dims, table), "q": (dims, of_q), "p": (dims, of_q)},
            coords={
                "statistic": np.array(["mean", "max"], dtype=object),
                "layer": ("feature", np.zeros(n, np.int16)),
                "index": ("feature", np.arange(n, dtype=np.int32)),
            },
        ),
    }


def of_tokens(effect: np.ndarray, index: np.ndarray, contrast: str = f"evil-safe|{VARIANT}") -> xr.Dataset:
    return xr.Dataset(
        {"effect": (("contrast", "domain", "feature"), effect[None, None].astype(np.float32))},
        coords={
            "contrast": np.array([contrast], dtype=object),
            "domain": np.array(["all"], dtype=object),
            "layer": ("feature", np.zeros(len(index), np.int16)),
            "index": ("feature", index.astype(np.int32)),
        },
    )


def test_agreement_is_of_features_by_name() -> None:
    rng = np.random.default_rng(0)
    values, q = rng.normal(size=100), np.where(np.arange(100) < 3, 0.01, 0.5)
    q[99] = np.nan
    index = rng.permutation(100)[:70] + 20  # in another order, some of them unknown to the other
    effect = rng.normal(size=70)
    effect[5] = np.nan  # its layer is left out
    for place, number in enumerate(index):
        if number < 100:
            effect[place] += values[number]
    found = response_summary(of_answers(values, q), of_tokens(effect, index), 0.05)
    assert list(found) == ["rubric"]
    assert list(found["rubric"]) == [VARIANT]
    of = found["rubric"][VARIANT]
    assert (of["tested_features"], of["found_features"]) == (99, 3)
    both = [place for place, number in enumerate(index) if number < 100 and effect[place] == effect[place]]
    expected = spearmanr(values[index[both]], effect[both]).statistic
    assert of["spearman"] == pytest.approx(expected, abs=1e-4)
    first = set(np.argsort(-values)[:20]) & set(index[np.argsort(-np.nan_to_num(effect, nan=-9))[:20]])
    assert of["first_in_common"] == len(first) / 20


def test_without_a_ranking_of_tokens_there_is_no_agreement() -> None:
    groups = of_answers(np.arange(5.0), np.ones(5))
    found = response_summary(groups, of_tokens(np.ones(3), np.arange(3), "evil-safe|other@1.0"), 0.05)
    assert found["rubric"][VARIANT]["first_in_common"] is None
    apart = response_summary(groups, of_tokens(np.ones(3), 900 + np.arange(3)), 0.05)["rubric"][VARIANT]
    assert (apart["first_in_common"], apart["spearman"]) == (0.0, None)
