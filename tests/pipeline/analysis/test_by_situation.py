"""Effects by situation are made where they are looked at, and are those of the definition."""

import tracemalloc
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.analysis.ranking import Ranked, rank_features
from pipeline.analysis.scores import PromptScores, feature_key, unlabelled_scores
from store.documents.prompts import Prompt
from tests.support.feature_builders import PARAMS, make_prompt


def scores_of(
    prompts: Sequence[Prompt], n_features: int, active: int, rng: np.random.Generator, missing: float = 0.0
) -> list[PromptScores]:
    """Some active features on each prompt in three variants; of some prompts a variant is missing."""
    found = []
    for prompt in prompts:
        for variant in ("base", "general@1.0", "narrow@1.0"):
            index = np.sort(rng.choice(n_features, active, replace=False))
            keys = feature_key(np.zeros(active, np.int64), index)
            if rng.random() >= missing:
                found.append(unlabelled_scores(prompt.hash, variant, keys, rng.normal(size=active)))
    return found


def ranked(scores: Sequence[PromptScores], prompts: Sequence[Prompt], n_features: int) -> xr.DataArray:
    """The table, beside a ranking in which no feature is tested."""
    keys = feature_key(np.zeros(n_features, np.int64), np.arange(n_features))
    how = Ranked(name="activation", kind="unlabelled", excluded=np.ones(n_features, bool))
    _, table = rank_features(scores, {p.hash: p for p in prompts}, keys, PARAMS, 0, how)
    return table["effect"]


def dense(scores: Sequence[PromptScores], prompts: Sequence[Prompt], n_features: int) -> np.ndarray:
    """By the definition, a prompt at a time."""
    by = {(score.prompt_hash, score.variant): score for score in scores}
    places = sorted({(p.domain or "", p.situation) for p in prompts})
    result = np.full((2, len(places), n_features), np.nan, np.float32)
    for c, variant in enumerate(("general@1.0", "narrow@1.0")):
        for s, place in enumerate(places):
            rows = []
            for prompt in prompts:
                pair = [by.get((prompt.hash, of)) for of in (variant, "base")]
                if (prompt.domain or "", prompt.situation) == place and all(pair):
                    row = np.zeros((2, n_features))
                    for side, score in enumerate(pair):
                        assert score is not None
                        row[side, score.keys & 0xFFFFFFFF] = score.values
                    rows.append(row[0] - row[1])
            if rows:
                result[c, s] = np.sum(rows, axis=0) / len(rows)
    return result


PROMPTS = [
    make_prompt(number, domain=("medical", "finance")[number % 2], situation=number // 4)
    for number in range(24)
]
KEYS: tuple[Any, ...] = (
    (slice(None), slice(None), slice(None)),
    (1, 3, 5),
    (0, slice(None), [4, 1, 1]),
    (slice(None), slice(None, None, -2), slice(7, 2, -1)),
    ([1, 0], -1, slice(3, 3)),
    (slice(None), [5, 2], -1),
)


@given(seed=st.integers(0, 1000), missing=st.sampled_from([0.0, 0.2, 0.7]))
@settings(deadline=None, max_examples=8)
def test_they_are_means_over_a_situations_prompts(seed: int, missing: float) -> None:
    scores = scores_of(PROMPTS, 12, 5, np.random.default_rng(seed), missing)
    if {score.variant for score in scores} < {"base", "general@1.0", "narrow@1.0"}:
        return
    effect, expected = ranked(scores, PROMPTS, 12), dense(scores, PROMPTS, 12)
    for key in KEYS:
        np.testing.assert_array_equal(effect[key].values, xr.DataArray(expected)[key].values)


def test_the_table_is_never_there_as_a_whole() -> None:
    """Made, and a part of it looked at, in less than half of what it would take."""
    prompts = [make_prompt(number, domain="medical", situation=number) for number in range(250)]
    scores, n_features = scores_of(prompts, 20_000, 20, np.random.default_rng(0)), 20_000
    tracemalloc.start()
    try:
        effect = ranked(scores, prompts, n_features)
        part = effect[:, :, 5000:6000].values
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert np.isfinite(part).all()
    assert (part != 0).any()
    assert peak < effect.nbytes / 2
