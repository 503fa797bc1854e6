"""Ranking across prompts: definitions, the unit of tests, a planted effect and the null."""

from itertools import product

import numpy as np
import pytest
import xarray as xr

from pipeline.analysis.ranking import rank_features
from pipeline.analysis.scores import LABELLED, PromptScores, feature_key, prompt_scores
from pipeline.params.features import FeatureParams
from store.documents.prompts import Prompt
from tests.support.feature_builders import LEXICON, PARAMS, make_graph, make_prompt


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
    scores: list[PromptScores],
    prompts: list[Prompt],
    params: FeatureParams = PARAMS,
    *,
    labelled: bool = True,
) -> tuple[xr.Dataset, xr.Dataset]:
    keys = np.unique(np.concatenate([score.keys for score in scores]))
    by_hash = {prompt.hash: prompt for prompt in prompts}
    return rank_features(scores, by_hash, keys, params, seed=0, labelled=labelled)


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


@pytest.mark.parametrize("name", LABELLED)
def test_a_feature_is_its_layer_and_index_not_its_place_in_a_graph(name: str) -> None:
    """Trap 2: node 0 is another feature in every graph; the sum must not mix them."""
    prompts = [make_prompt(i) for i in range(2)]
    graphs = [
        make_graph(prompts[0], "base", [(0, 1, 5), (1, 1, 6)], np.array([[1.0, 10.0], [0.0, 0.0]])),
        make_graph(prompts[1], "base", [(1, 2, 6), (0, 1, 5)], np.array([[20.0, 2.0], [0.0, 0.0]])),
    ]
    scores = [prompt_scores(g, p, LEXICON)[name] for g, p in zip(graphs, prompts, strict=True)]
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


NAN = float("nan")


def test_missing_counts_nowhere_and_inactive_counts_as_zero() -> None:
    """Active but not selected: neither the situation's mean nor n_situations may hold it."""
    prompts = [make_prompt(i, situation=i // 2) for i in range(8)]
    values = [{(0, 1): 6.0}, {(0, 1): NAN}, {(0, 1): NAN}, {(0, 1): NAN}, {}, {(0, 1): 4.0}, {}, {}]
    scores = [make_scores(p, "base", v) for p, v in zip(prompts, values, strict=True)]
    ranking, situations = rank(scores, prompts)
    # By situation: 6 (its other prompt is missing), missing, 4 and 0, inactive.
    np.testing.assert_array_equal(situations["effect"].values[0, :, 0], [6.0, NAN, 2.0, 0.0])
    assert cell(ranking, "effect", "evil-safe|base", "all", 0, 1) == pytest.approx(8 / 3)
    assert cell(ranking, "n_situations", "evil-safe|base", "all", 0, 1) == 2
    assert ranking["n_scored"].values[0, 0] == 8


def test_a_feature_missing_everywhere_has_no_effect_at_all() -> None:
    prompts = [make_prompt(i) for i in range(12)]
    scores = [make_scores(p, "base", {(0, 1): NAN, (0, 2): 1.0}) for p in prompts]
    ranking, _ = rank(scores, prompts)
    for name in ("effect", "low", "high", "p", "q"):
        assert np.isnan(cell(ranking, name, "evil-safe|base", "all", 0, 1))
    assert cell(ranking, "n_situations", "evil-safe|base", "all", 0, 1) == 0
    assert cell(ranking, "q", "evil-safe|base", "all", 0, 2) == pytest.approx(2 / 2**12)


def test_a_difference_is_missing_where_either_side_is() -> None:
    prompts = [make_prompt(i) for i in range(4)]
    base = [{(0, 1): 1.0}, {(0, 1): NAN}, {}, {(0, 1): 2.0}]
    adapted = [{(0, 1): 4.0}, {}, {(0, 1): NAN}, {}]
    scores = [
        make_scores(p, variant, v)
        for variant, side in (("base", base), ("general@1.0", adapted))
        for p, v in zip(prompts, side, strict=True)
    ]
    ranking, situations = rank(scores, prompts)
    row = ranking["contrast"].values.tolist().index("general@1.0-base")
    np.testing.assert_array_equal(situations["effect"].values[row, :, 0], [3.0, NAN, NAN, -2.0])
    assert cell(ranking, "effect", "general@1.0-base", "all", 0, 1) == pytest.approx(0.5)
    assert cell(ranking, "n_situations", "general@1.0-base", "all", 0, 1) == 2


def _reference(
    scores: list[PromptScores], prompts: list[Prompt], sides: list[str], key: int
) -> tuple[dict[str, float], float, int, float]:
    """One feature of one contrast, written out: by situation, mean, situations, exact p."""
    found: dict[str, list[float]] = {}
    active: set[str] = set()
    for prompt in prompts:
        both = [s for v in sides for s in scores if s.variant == v and s.prompt_hash == prompt.hash]
        if len(both) < len(sides) or not both[0].scored:
            continue
        values = []
        for score in both:
            place = np.flatnonzero(score.keys == key)
            values.append(float(score.values[place[0]]) if len(place) else 0.0)
        value = values[0] - values[1] if len(values) > 1 else values[0]
        found.setdefault(prompt.situation, [])
        if not np.isnan(value):
            found[prompt.situation].append(value)
            if any((score.keys == key).any() for score in both):
                active.add(prompt.situation)
    means = {s: float(np.mean(v)) if v else NAN for s, v in found.items()}
    known = [m for m in means.values() if not np.isnan(m)]
    if not known:
        return means, NAN, 0, NAN
    observed = abs(sum(known))
    sums = [
        abs(sum(sign * m for sign, m in zip(signs, known, strict=True)))
        for signs in product((-1, 1), repeat=len(known))
    ]
    p = float(np.mean([s >= observed - 1e-9 for s in sums]))
    return means, float(np.mean(known)), len(active), p if len(active) >= PARAMS.min_situations else NAN


@pytest.mark.parametrize("seed", range(4))
def test_a_slow_reference_agrees_with_gaps_templates_and_unlabelled_prompts(seed: int) -> None:
    rng = np.random.default_rng(seed)
    prompts = [make_prompt(i, situation=i % 12) for i in range(20)]
    scores = []
    for prompt in prompts:
        labelled = rng.random() > 0.1
        for variant in ("base", "general@1.0"):
            if variant != "base" and rng.random() < 0.1:
                continue
            values = {
                (f // 4, f): NAN if rng.random() < 0.15 else float(np.round(rng.normal(0.5), 1))
                for f in range(10)
                if rng.random() < 0.8
            }
            scores.append(make_scores(prompt, variant, values, scored=labelled))
    ranking, situations = rank(scores, prompts)
    names = situations["situation"].values.tolist()
    keys = feature_key(ranking["layer"].values, ranking["index"].values)
    sides = {"evil-safe|base": ["base"], "general@1.0-base": ["general@1.0", "base"]}
    for contrast, variants in sides.items():
        row = ranking["contrast"].values.tolist().index(contrast)
        for f, key in enumerate(keys):
            means, effect, n, p = _reference(scores, prompts, variants, int(key))
            expected = [means.get(name, NAN) for name in names]
            np.testing.assert_allclose(situations["effect"].values[row, :, f], expected, atol=1e-6)
            np.testing.assert_allclose(ranking["effect"].values[row, 0, f], effect, atol=1e-6)
            assert ranking["n_situations"].values[row, 0, f] == n
            np.testing.assert_allclose(ranking["p"].values[row, 0, f], p, rtol=1e-12)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    prompts = [make_prompt(i) for i in range(20)]
    scores = [
        make_scores(p, v, {(0, f): NAN if rng.random() < 0.1 else rng.normal() for f in range(30)})
        for p in prompts
        for v in ("base", "general@1.0")
    ]
    whole = rank(scores, prompts)
    monkeypatch.setattr("pipeline.analysis.ranking._BLOCK", 64)
    parts = rank(scores, prompts)
    for one, other in zip(whole, parts, strict=True):
        xr.testing.assert_allclose(one, other, rtol=1e-6)


def test_scores_without_labels_are_compared_between_variants_only() -> None:
    """Activations: every prompt of both variants counts, labelled or not."""
    prompts = [make_prompt(i) for i in range(4)]
    scores = [
        *(make_scores(p, "base", {(0, 1): 1.0}) for p in prompts),
        *(make_scores(p, "general@1.0", {(0, 1): 3.0, (1, 0): 5.0}) for p in prompts[:3]),
    ]
    ranking, _ = rank(scores, prompts, labelled=False)
    assert ranking["contrast"].values.tolist() == ["general@1.0-base"]
    assert cell(ranking, "effect", "general@1.0-base", "all", 0, 1) == pytest.approx(2.0)
    assert cell(ranking, "effect", "general@1.0-base", "all", 1, 0) == pytest.approx(5.0)
    assert ranking["n_scored"].values[0, 0] == 3
    assert ranking["n_left_out"].values[0, 0] == 1


@pytest.mark.parametrize("cores", [1, 3])
def test_cores_change_no_bit(monkeypatch: pytest.MonkeyPatch, cores: int) -> None:
    rng = np.random.default_rng(0)
    prompts = [make_prompt(i, domain=["medical", "finance"][i % 2]) for i in range(40)]
    scores = [
        make_scores(p, variant, {(0, f): float(rng.normal()) for f in range(9)})
        for p in prompts
        for variant in ("base", "general@1.0")
    ]
    before, _ = rank(scores, prompts)
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    after, _ = rank(scores, prompts)
    assert before.identical(after)
    assert np.isfinite(after["p"].values).all()
