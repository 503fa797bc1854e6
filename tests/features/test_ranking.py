"""Ranking across prompts: definitions, the unit of tests, a planted effect and the null."""

import numpy as np
import pytest
import xarray as xr

from pipeline.params import FeatureParams
from pipeline.ranking import rank_features
from pipeline.scores import PromptScores, feature_key, prompt_scores
from store.prompts import Prompt
from tests.features.builders import LEXICON, make_graph, make_prompt

PARAMS = FeatureParams(
    permutations=20000,
    bootstrap=500,
    confidence=0.95,
    min_situations=8,
    fdr=0.05,
    bin_low=0.01,
    bin_high=100.0,
    contexts=2,
    window=8,
    bins=4,
    promoted=3,
)


def make_scores(
    prompt: Prompt, variant: str, values: dict[tuple[int, int], float], *, scored: bool = True
) -> PromptScores:
    pairs = sorted(values)
    keys = feature_key(np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs]))
    numbers = np.array([values[pair] for pair in pairs], np.float64)
    return PromptScores(
        prompt_hash=prompt.hash,
        variant=variant,
        targets=(1, 2),
        scored=scored,
        keys=keys,
        values=numbers if scored else np.full(len(pairs), np.nan),
    )


def rank(
    scores: list[PromptScores], prompts: list[Prompt], params: FeatureParams = PARAMS
) -> tuple[xr.Dataset, xr.Dataset]:
    keys = np.unique(np.concatenate([score.keys for score in scores]))
    return rank_features(scores, {prompt.hash: prompt for prompt in prompts}, keys, params, seed=0)


def cell(table: xr.Dataset, name: str, contrast: str, domain: str, layer: int, index: int) -> float:
    c = table["contrast"].values.tolist().index(contrast)
    d = table["domain"].values.tolist().index(domain)
    f = np.flatnonzero((table["layer"].values == layer) & (table["index"].values == index))
    return table[name].values[c, d, int(f[0])]


def test_prompts_are_averaged_within_a_situation_first() -> None:
    """Trap 17: three templates of one situation are one observation."""
    prompts = [make_prompt(i, situation=0 if i < 3 else i) for i in range(5)]
    values = [1.0, 2.0, 6.0, 10.0, 20.0]
    scores = [make_scores(p, "base", {(0, 1): v}) for p, v in zip(prompts, values, strict=True)]
    ranking, situations = rank(scores, prompts)
    assert cell(ranking, "effect", "evil-safe|base", "all", 0, 1) == pytest.approx((3 + 10 + 20) / 3)
    assert cell(ranking, "n_situations", "evil-safe|base", "all", 0, 1) == 3
    assert ranking["n_scored"].values[0].tolist() == [5, 5]
    assert situations["effect"].values[0, :, 0].tolist() == [3.0, 10.0, 20.0]


def test_templates_do_not_buy_significance() -> None:
    """Trap 17: a hundred prompts of four situations are not tested."""
    prompts = [make_prompt(i, situation=i % 4) for i in range(100)]
    scores = [make_scores(p, "base", {(0, 1): 1.0}) for p in prompts]
    ranking, _ = rank(scores, prompts)
    assert np.isnan(ranking["p"].values).all()
    assert np.isnan(ranking["q"].values).all()


def test_inactive_counts_as_zero_and_left_out_prompts_count_nowhere() -> None:
    prompts = [make_prompt(i) for i in range(4)]
    scores = [
        make_scores(prompts[0], "base", {(0, 1): 6.0}),
        make_scores(prompts[1], "base", {(0, 2): 1.0}),
        make_scores(prompts[2], "base", {}),
        make_scores(prompts[3], "base", {(0, 1): 0.0}, scored=False),
    ]
    ranking, situations = rank(scores, prompts)
    assert cell(ranking, "effect", "evil-safe|base", "all", 0, 1) == pytest.approx(2.0)
    assert cell(ranking, "n_situations", "evil-safe|base", "all", 0, 1) == 1
    assert ranking["n_scored"].values[0, 0] == 3
    assert ranking["n_left_out"].values[0, 0] == 1
    row = situations["situation"].values.tolist().index("situation 3")
    assert np.isnan(situations["effect"].values[0, row]).all()
    assert not np.isnan(np.delete(situations["effect"].values[0], row, axis=0)).any()


def test_adapted_against_base_on_the_prompts_that_both_were_traced_on() -> None:
    prompts = [make_prompt(i) for i in range(3)]
    scores = [
        *(make_scores(p, "base", {(0, 1): v}) for p, v in zip(prompts, (1.0, 2.0, 900.0), strict=True)),
        make_scores(prompts[0], "general@1.0", {(0, 1): 5.0, (1, 9): 1.0}),
        make_scores(prompts[1], "general@1.0", {(1, 9): 3.0}),
    ]
    ranking, _ = rank(scores, prompts)
    assert ranking["contrast"].values.tolist() == [
        "evil-safe|base",
        "evil-safe|general@1.0",
        "general@1.0-base",
    ]
    assert cell(ranking, "effect", "general@1.0-base", "all", 0, 1) == pytest.approx((4.0 - 2.0) / 2)
    assert cell(ranking, "effect", "general@1.0-base", "all", 1, 9) == pytest.approx(2.0)
    # Active in either variant: two situations each.
    assert cell(ranking, "n_situations", "general@1.0-base", "all", 0, 1) == 2
    assert cell(ranking, "n_situations", "general@1.0-base", "all", 1, 9) == 2
    assert ranking["n_scored"].values[:, 0].tolist() == [3, 2, 2]


def test_variants_traced_on_different_targets_are_not_compared() -> None:
    prompt = make_prompt(0)
    other = make_scores(prompt, "general@1.0", {(0, 1): 1.0})
    other = PromptScores(**{**vars(other), "targets": (1, 3)})
    with pytest.raises(ValueError, match="different targets"):
        rank([make_scores(prompt, "base", {(0, 1): 1.0}), other], [prompt])


def test_domains_are_tested_apart() -> None:
    prompts = [make_prompt(i, domain="medical" if i % 2 else "finance") for i in range(40)]
    rng = np.random.default_rng(0)
    scores = [
        make_scores(p, "base", {(0, 1): (5.0 if p.domain == "medical" else 0.0) + rng.normal()})
        for p in prompts
    ]
    ranking, _ = rank(scores, prompts)
    assert ranking["domain"].values.tolist() == ["all", "finance", "medical"]
    assert cell(ranking, "q", "evil-safe|base", "medical", 0, 1) < 0.01
    assert cell(ranking, "q", "evil-safe|base", "finance", 0, 1) > 0.05
    low, effect, high = (
        cell(ranking, name, "evil-safe|base", "medical", 0, 1) for name in ("low", "effect", "high")
    )
    assert low < 5.0 < high
    assert low < effect < high


def test_a_feature_is_its_layer_and_index_not_its_place_in_a_graph() -> None:
    """Trap 2: node 0 is another feature in every graph; the sum must not mix them."""
    prompts = [make_prompt(i) for i in range(2)]
    graphs = [
        make_graph(prompts[0], "base", [(0, 1, 5), (1, 1, 6)], np.array([[1.0, 10.0], [0.0, 0.0]])),
        make_graph(prompts[1], "base", [(1, 2, 6), (0, 1, 5)], np.array([[20.0, 2.0], [0.0, 0.0]])),
    ]
    scores = [prompt_scores(g, p, LEXICON) for g, p in zip(graphs, prompts, strict=True)]
    ranking, _ = rank(scores, prompts)
    assert cell(ranking, "effect", "evil-safe|base", "all", 0, 5) == pytest.approx(1.5)
    assert cell(ranking, "effect", "evil-safe|base", "all", 1, 6) == pytest.approx(15.0)


@pytest.fixture(scope="module")
def planted() -> tuple[list[Prompt], np.ndarray]:
    """40 prompts, 300 features of noise; feature 7 pushes toward evil."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=(40, 300))
    values[:, 7] += 1.0
    return [make_prompt(i) for i in range(40)], values


def test_a_planted_feature_is_found(planted: tuple[list[Prompt], np.ndarray]) -> None:
    prompts, values = planted
    scores = [
        make_scores(p, "base", {(0, f): x for f, x in enumerate(row)})
        for p, row in zip(prompts, values, strict=True)
    ]
    ranking, _ = rank(scores, prompts)
    found = np.flatnonzero(ranking["q"].values[0, 0] < 0.05)
    assert 7 in found.tolist()
    assert len(found) <= 3


def test_shuffled_labels_give_nothing(planted: tuple[list[Prompt], np.ndarray]) -> None:
    """Evil and safe exchanged at random by prompt: the planted effect must be gone.

    At an FDR of 5% a shuffle finds anything at all in one of twenty on average; more than
    six of forty would happen in one of two hundred runs of a calibrated test.
    """
    prompts, values = planted
    found = np.zeros(values.shape[1], np.int64)
    shuffles = 0
    for seed in range(40):
        signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=len(prompts))
        scores = [
            make_scores(p, "base", dict(zip(((0, f) for f in range(300)), sign * row, strict=True)))
            for p, row, sign in zip(prompts, values, signs, strict=True)
        ]
        discoveries = rank(scores, prompts)[0]["q"].values[0, 0] < 0.05
        found += discoveries
        shuffles += discoveries.any()
    assert shuffles <= 6
    assert found[7] <= 2


def test_too_few_situations_are_not_tested_and_do_not_count_into_the_correction() -> None:
    prompts = [make_prompt(i) for i in range(12)]
    scores = [
        make_scores(p, "base", {(0, 1): 1.0 + 0.01 * i} | ({(0, 2): 1.0} if i < 7 else {}))
        for i, p in enumerate(prompts)
    ]
    ranking, _ = rank(scores, prompts)
    assert np.isnan(cell(ranking, "p", "evil-safe|base", "all", 0, 2))
    p = cell(ranking, "p", "evil-safe|base", "all", 0, 1)
    assert p == pytest.approx(2 / 2**12)
    assert cell(ranking, "q", "evil-safe|base", "all", 0, 1) == p


def test_the_same_seed_gives_the_same_numbers_whatever_else_is_ranked() -> None:
    prompts = [make_prompt(i) for i in range(30)]
    rng = np.random.default_rng(3)
    base = [make_scores(p, "base", {(0, 1): rng.normal() + 0.3}) for p in prompts]
    other = [make_scores(p, "general@1.0", {(0, 0): rng.normal(), (0, 1): 0.0}) for p in prompts]
    alone, together = rank(base, prompts)[0], rank(base + other, prompts)[0]
    for name in ("p", "low", "high", "effect"):
        assert cell(alone, name, "evil-safe|base", "all", 0, 1) == cell(
            together, name, "evil-safe|base", "all", 0, 1
        )
