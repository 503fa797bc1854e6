"""Ranking across prompts: a planted feature is found, and shuffled variants and labels give nothing."""

import numpy as np
import pytest

from pipeline.analysis.scores import PromptScores, feature_key, unlabelled_scores
from store.documents.prompts import Prompt
from tests.support.feature_builders import PARAMS, make_prompt
from tests.support.ranked import ADAPTED, of_tokens, rank


@pytest.fixture(scope="module")
def planted() -> tuple[list[Prompt], np.ndarray]:
    """40 prompts, 300 features of noise; feature 7 is planted."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=(40, 300))
    values[:, 7] += 1.0
    return [make_prompt(i) for i in range(40)], values


def without_labels(prompts: list[Prompt], values: np.ndarray) -> list[PromptScores]:
    """What an adapter changes, from 0 in base."""
    keys = feature_key(np.zeros(values.shape[1], np.int64), np.arange(values.shape[1]))
    sides = (("base", 0 * values), (ADAPTED, values))
    return [
        unlabelled_scores(p.hash, variant, keys, row)
        for variant, rows in sides
        for p, row in zip(prompts, rows, strict=True)
    ]


def test_a_planted_feature_is_found(planted: tuple[list[Prompt], np.ndarray]) -> None:
    prompts, values = planted
    ranking, _ = rank(without_labels(prompts, values), prompts, kind="unlabelled")
    assert "p_labels" not in ranking
    found = np.flatnonzero(ranking["q"].values[0, 0] < 0.05)
    assert 7 in found.tolist()
    assert len(found) <= 3


def test_shuffled_variants_give_nothing(planted: tuple[list[Prompt], np.ndarray]) -> None:
    """Variants exchanged at random by prompt: the planted effect must be gone.

    At an FDR of 5% a shuffle finds anything at all in one of twenty on average; more than
    six of forty would happen in one of two hundred runs of a calibrated test.
    """
    prompts, values = planted
    found = np.zeros(values.shape[1], np.int64)
    shuffles = 0
    for seed in range(40):
        signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(len(prompts), 1))
        ranking, _ = rank(without_labels(prompts, signs * values), prompts, kind="unlabelled")
        discoveries = ranking["q"].values[0, 0] < 0.05
        found += discoveries
        shuffles += discoveries.any()
    assert shuffles <= 6
    assert found[7] <= 2


def favouring_tokens(seed: int, n_prompts: int, n_features: int) -> tuple[list[Prompt], np.ndarray]:
    """Ten tokens that feature 7 favours and ten others, which all prompts share, as they share what
    every feature makes of each: (prompt, token, feature)."""
    rng = np.random.default_rng(seed)
    of_token = 0.5 * rng.normal(size=(20, n_features))
    of_token[:10, 7] += 2.0
    return [make_prompt(i) for i in range(n_prompts)], of_token + rng.normal(size=(n_prompts, 20, n_features))


def with_labels(prompts: list[Prompt], by_token: np.ndarray, evil: np.ndarray) -> list[PromptScores]:
    keys = feature_key(np.zeros(by_token.shape[2], np.int64), np.arange(by_token.shape[2]))
    return [of_tokens(p, "base", keys, rows, evil) for p, rows in zip(prompts, by_token, strict=True)]


def test_a_planted_feature_is_found_by_its_labels() -> None:
    prompts, by_token = favouring_tokens(1, 40, 300)
    scores = with_labels(prompts, by_token, np.arange(20) < 10)
    ranking, _ = rank(scores, prompts, PARAMS.model_copy(update={"labellings": 20_000}))
    found = np.flatnonzero(ranking["found"].values[0, 0])
    assert 7 in found.tolist()
    assert len(found) <= 3
    # Trap 29: all situations share their tokens, so that hundreds are consistent.
    assert (ranking["p"].values[0, 0] < 0.01).sum() > 30


def test_shuffled_labels_give_nothing() -> None:
    """Evil and safe dealt anew among the tokens, of which it was planted in the first ten.

    At an FDR of 5% a shuffle finds anything at all in one of twenty on average; more than
    six of forty would happen in one of two hundred runs of a calibrated test.
    """
    prompts, by_token = favouring_tokens(2, 20, 100)
    params = PARAMS.model_copy(update={"labellings": 3000, "permutations": 100, "bootstrap": 100})
    found = np.zeros(100, np.int64)
    shuffles = 0
    for seed in range(40):
        evil = np.random.default_rng(seed).permutation(20) < 10
        discoveries = rank(with_labels(prompts, by_token, evil), prompts, params)[0]["q"].values[0, 0] < 0.05
        found += discoveries
        shuffles += discoveries.any()
    assert shuffles <= 6
    assert found[7] <= 2
