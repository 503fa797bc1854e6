"""Ranking across prompts: definitions, the unit of tests, a planted effect and the null."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import xarray as xr

from pipeline.analysis.contrasts import Kind
from pipeline.analysis.ranking import Ranked, rank_features
from pipeline.analysis.scores import LABELLED, PromptScores, feature_key, prompt_scores, unlabelled_scores
from pipeline.analysis.statistics import benjamini_hochberg
from pipeline.params.features import FeatureParams
from store.documents.prompts import Prompt
from tests.support.feature_builders import LABELS, PARAMS, make_graph, make_prompt
from tests.support.labellings import Asked, Labels, slow_p

ADAPTED = "general@1.0"


def make_scores(
    prompt: Prompt,
    variant: str,
    values: dict[tuple[int, int], float],
    *,
    scored: bool = True,
    rng: np.random.Generator | None = None,
    each: int = 6,
) -> PromptScores:
    """Given scores, of as many evil as safe tokens that a domain shares; not scored: of evil ones only.

    Evil tokens have the value and safe ones 0: enough of them that dealt labels can reject. With
    `rng`, tokens differ on this prompt, around the same means.
    """
    pairs = sorted(values)
    keys = feature_key(np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs]))
    numbers = np.array([values[pair] for pair in pairs], np.float64)
    evil = np.repeat([True, False] if scored else [True], each)
    by_token = np.where(evil[:, None], numbers, 0.0)
    if rng is not None:
        of_token = rng.normal(size=by_token.shape)
        for mark in (evil, ~evil)[: 1 + scored]:
            by_token[mark] += of_token[mark] - of_token[mark].mean(axis=0)
    return of_tokens(prompt, variant, keys, by_token, evil)


def of_tokens(
    prompt: Prompt, variant: str, keys: np.ndarray, by_token: np.ndarray, evil: np.ndarray
) -> PromptScores:
    """The score that (labelled target, feature) effects make."""
    scored = bool(evil.any() and not evil.all())
    tokens = 100 + np.arange(len(evil))
    difference = by_token[evil].mean(axis=0) - by_token[~evil].mean(axis=0) if scored else np.nan
    return PromptScores(
        prompt_hash=prompt.hash,
        variant=variant,
        targets=tuple(tokens.tolist()),
        scored=scored,
        keys=keys,
        values=np.broadcast_to(difference, keys.shape).astype(np.float64),
        tokens=tokens,
        evil=evil,
        by_token=by_token,
    )


def rank(
    scores: list[PromptScores],
    prompts: list[Prompt],
    params: FeatureParams = PARAMS,
    *,
    kind: Kind = "labelled",
    floor: float = 0.0,
    nulls: tuple[str, ...] = (),
) -> tuple[xr.Dataset, xr.Dataset]:
    keys = np.unique(np.concatenate([score.keys for score in scores]))
    by_hash = {prompt.hash: prompt for prompt in prompts}
    how = Ranked(name="direct", kind=kind, floor=floor, nulls=nulls)
    return rank_features(scores, by_hash, keys, params, 0, how)


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
    for name in ("p", "p_labels", "q"):
        assert np.isnan(ranking[name].values).all()
    assert not ranking["found"].values.any()


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
        make_scores(p, "base", {(0, 1): (5.0 if p.domain == "medical" else 0.0) + rng.normal()}, rng=rng)
        for p in prompts
    ]
    ranking, _ = rank(scores, prompts)
    assert ranking["domain"].values.tolist() == ["all", "finance", "medical"]
    assert cell(ranking, "q", "evil-safe|base", "medical", 0, 1) < 0.01
    # The true labels and the opposite ones, of all ways to deal them.
    assert cell(ranking, "p_labels", "evil-safe|base", "medical", 0, 1) == pytest.approx(2 / 924)
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
    scores = [prompt_scores(g, p, LABELS)[name] for g, p in zip(graphs, prompts, strict=True)]
    ranking, _ = rank(scores, prompts)
    assert cell(ranking, "effect", "evil-safe|base", "all", 0, 5) == pytest.approx(1.5)
    assert cell(ranking, "effect", "evil-safe|base", "all", 1, 6) == pytest.approx(15.0)


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


def test_too_few_situations_are_not_tested_and_do_not_count_into_the_correction() -> None:
    prompts = [make_prompt(i) for i in range(12)]
    scores = [
        make_scores(p, "base", {(0, 1): 1.0 + 0.01 * i} | ({(0, 2): 1.0} if i < 7 else {}))
        for i, p in enumerate(prompts)
    ]
    ranking, _ = rank(scores, prompts)
    for name in ("p", "p_labels", "q"):
        assert np.isnan(cell(ranking, name, "evil-safe|base", "all", 0, 2))
    assert cell(ranking, "p", "evil-safe|base", "all", 0, 1) == pytest.approx(2 / 2**12)
    p = cell(ranking, "p_labels", "evil-safe|base", "all", 0, 1)
    assert p == pytest.approx(2 / 924)
    assert cell(ranking, "q", "evil-safe|base", "all", 0, 1) == p


def test_the_same_seed_gives_the_same_numbers_whatever_else_is_ranked() -> None:
    """Of labels, too, where they are drawn."""
    prompts = [make_prompt(i) for i in range(30)]
    rng = np.random.default_rng(3)
    params = PARAMS.model_copy(update={"labellings": 500})
    base = [make_scores(p, "base", {(0, 1): 0.1 * rng.normal() + 0.1}, rng=rng) for p in prompts]
    other = [make_scores(p, ADAPTED, {(0, 0): rng.normal(), (0, 1): 0.0}) for p in prompts]
    alone, together = rank(base, prompts, params)[0], rank(base + other, prompts, params)[0]
    for name in ("p", "p_labels", "low", "high", "effect"):
        assert cell(alone, name, "evil-safe|base", "all", 0, 1) == cell(
            together, name, "evil-safe|base", "all", 0, 1
        )
    assert 0.01 < cell(alone, "p_labels", "evil-safe|base", "all", 0, 1) < 0.99


NAN = float("nan")


def _reference(
    scores: list[PromptScores], prompts: list[Prompt], sides: list[str], key: int
) -> tuple[dict[str, float], float, int, float]:
    """One feature of one contrast, written out: by situation, mean, situations, exact p of sign flips."""
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
        found.setdefault(prompt.situation, []).append(values[0] - values[1] if len(values) > 1 else values[0])
        if any((score.keys == key).any() for score in both):
            active.add(prompt.situation)
    means = {s: float(np.mean(v)) for s, v in found.items()}
    known = list(means.values())
    observed = abs(sum(known))
    sums = [
        abs(sum(sign * m for sign, m in zip(signs, known, strict=True)))
        for signs in product((-1, 1), repeat=len(known))
    ]
    p = float(np.mean([s >= observed - 1e-9 for s in sums]))
    return means, float(np.mean(known)), len(active), p if len(active) >= PARAMS.min_situations else NAN


def _by_labels(
    scores: list[PromptScores], prompts: list[Prompt], sides: list[str], keys: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(feature,) p of all labellings; prompts without both labels may get them by other ones.

    Without and with those that come as near as float32 may not tell apart.
    """
    labels: Labels = {}
    asked = []
    for prompt in prompts:
        both = [s for v in sides for s in scores if s.variant == v and s.prompt_hash == prompt.hash]
        if len(both) < len(sides):
            continue
        effects = {}
        for row, token in enumerate(both[0].tokens.tolist()):
            labels[prompt.domain or "", token] = bool(both[0].evil[row])
            of_side = []
            for score in both:
                (place,) = np.flatnonzero(score.tokens == token)
                of_feature = dict(zip(score.keys.tolist(), score.by_token[place], strict=True))
                of_side.append(np.array([of_feature.get(int(key), 0.0) for key in keys]))
            effects[token] = of_side[0] - sum(of_side[1:])
        asked.append(Asked(domain=prompt.domain or "", situation=prompt.situation, effects=effects))
    return slow_p(asked, labels), slow_p(asked, labels, 1e-4)


def _turned(score: PromptScores, rng: np.random.Generator) -> PromptScores:
    """Its targets in another order."""
    order = rng.permutation(len(score.tokens))
    changed = {name: getattr(score, name)[order] for name in ("tokens", "evil", "by_token")}
    return replace(score, **changed)


@pytest.mark.parametrize("seed", range(4))
def test_a_slow_reference_agrees_with_templates_and_unlabelled_prompts(seed: int) -> None:
    rng = np.random.default_rng(seed)
    domains = ("finance", "medical")
    prompts = [make_prompt(i, situation=i % 12, domain=domains[i % 12 % 2]) for i in range(20)]
    scores = []
    for prompt in prompts:
        labelled = rng.random() > 0.1
        for variant in ("base", ADAPTED):
            if variant != "base" and rng.random() < 0.1:
                continue
            values = {
                (f // 4, f): float(np.round(rng.normal(0.5), 1)) for f in range(10) if rng.random() < 0.8
            }
            scores.append(
                _turned(make_scores(prompt, variant, values, scored=labelled, rng=rng, each=3), rng)
            )
    ranking, situations = rank(scores, prompts)
    names = situations["situation"].values.tolist()
    keys = feature_key(ranking["layer"].values, ranking["index"].values)
    sides = {
        "evil-safe|base": ["base"],
        f"evil-safe|{ADAPTED}": [ADAPTED],
        f"{ADAPTED}-base": [ADAPTED, "base"],
    }
    assert ranking["contrast"].values.tolist() == list(sides)
    for row, variants in enumerate(sides.values()):
        least, most = _by_labels(scores, prompts, variants, keys)
        for f, key in enumerate(keys):
            means, effect, n, p = _reference(scores, prompts, variants, int(key))
            expected = [means.get(name, NAN) for name in names]
            np.testing.assert_allclose(situations["effect"].values[row, :, f], expected, atol=1e-6)
            np.testing.assert_allclose(ranking["effect"].values[row, 0, f], effect, atol=1e-6)
            assert ranking["n_situations"].values[row, 0, f] == n
            np.testing.assert_allclose(ranking["p"].values[row, 0, f], p, rtol=1e-12)
            by_labels = ranking["p_labels"].values[row, 0, f]
            if np.isnan(p):
                assert np.isnan(by_labels)
            else:
                assert least[f] - 1e-12 <= by_labels <= most[f] + 1e-12
                assert most[f] - least[f] < 0.02
        np.testing.assert_array_equal(
            ranking["q"].values[row, 0], benjamini_hochberg(ranking["p_labels"].values[row, 0])
        )


def test_a_change_is_a_contrast_by_itself() -> None:
    """It was compared with base already: its base is not asked for, and not subtracted."""
    prompts = [make_prompt(i) for i in range(12)]
    scores = [
        make_scores(p, v, {(0, 1): x}) for p in prompts for v, x in ((ADAPTED, 3.0), ("narrow@1.0", 1.0))
    ]
    scores[-1] = make_scores(prompts[-1], "narrow@1.0", {(0, 1): 1.0}, scored=False)
    ranking, situations = rank(scores, prompts, kind="change", nulls=("narrow@1.0",))
    assert ranking["contrast"].values.tolist() == [f"{ADAPTED}-base", "narrow@1.0-base"]
    assert ranking["effect"].values[:, 0, 0].tolist() == [3.0, 1.0]
    assert ranking["n_scored"].values[:, 0].tolist() == [12, 11]
    assert ranking["n_left_out"].values[:, 0].tolist() == [0, 1]
    np.testing.assert_allclose(ranking["p_labels"].values[:, 0, 0], 2 / 924)
    np.testing.assert_array_equal(ranking["q"].values, ranking["p_labels"].values)
    np.testing.assert_array_equal(ranking["null_share"].values[:, 0, 0], np.float32([1 / 2, NAN]))
    assert np.isnan(situations["effect"].values[1]).sum() == 1


@pytest.mark.parametrize("kind", ["labelled", "unlabelled"])
def test_found_needs_a_small_q_and_an_effect_of_the_floor(kind: Kind) -> None:
    """Of either sign; consistent but small, or large but not tested or not consistent, is not found."""
    prompts = [make_prompt(i) for i in range(12)]
    rng = np.random.default_rng(0)
    scores = [make_scores(p, "base", {}) for p in prompts]
    for i, p in enumerate(prompts):
        values = {(0, 1): 2.0, (0, 2): -2.0, (0, 3): 1.99, (0, 5): 9.0 * (-1) ** i + 2.5}
        scores.append(make_scores(p, ADAPTED, values | ({(0, 4): 8.0} if i < 7 else {}), rng=rng))
    if kind == "labelled":  # one favourite, which happens to be evil, makes all of the effect
        for score in scores[12:]:
            score.by_token[:, -1] = 2.5 * 6 * (np.arange(12) == 0)
    ranking, _ = rank(scores, prompts, kind=kind, floor=2.0)
    row = ranking["contrast"].values.tolist().index(f"{ADAPTED}-base")
    effect, q, found = (ranking[name].values[row, 0] for name in ("effect", "q", "found"))
    np.testing.assert_allclose(effect, [2, -2, 1.99, 8 * 7 / 12, 2.5], rtol=1e-6)
    assert (q[:3] < PARAMS.fdr).all()
    assert np.isnan(q[3])
    assert q[4] > PARAMS.fdr
    assert found.tolist() == [True, True, False, False, False]
    lower, _ = rank(scores, prompts, kind=kind, floor=1.5)
    assert lower["found"].values[row, 0].tolist() == [True, True, True, False, False]
    strict, _ = rank(scores, prompts, PARAMS.model_copy(update={"fdr": 1e-9}), kind=kind)
    assert not strict["found"].values.any()


@pytest.mark.parametrize("kind", ["labelled", "unlabelled"])
def test_null_share_is_among_all_effects_of_the_other_null_adapters(kind: Kind) -> None:
    rng = np.random.default_rng(4)
    prompts = [make_prompt(i, domain=("medical", "finance")[i % 2]) for i in range(10)]
    nulls = ("random@1.0", "random@2.0", "random@3.0")
    scores = [
        make_scores(p, v, {(0, f): float(rng.integers(-3, 4)) for f in range(12) if rng.random() < 0.12})
        for p in prompts
        for v in ("base", ADAPTED, *nulls)
    ]
    ranking, _ = rank(scores, prompts, kind=kind, nulls=nulls)
    effect, share, active = (
        ranking[n].values.astype(np.float64) for n in ("effect", "null_share", "n_situations")
    )
    names = ranking["contrast"].values.tolist()
    compared = 0
    for (c, d, f), value in np.ndenumerate(share):
        name = names[c]
        if name.startswith("evil-safe|") or not active[c, d, f]:
            assert np.isnan(value)
            continue
        others = [
            abs(effect[names.index(f"{null}-base"), d, g])
            for null in nulls
            if f"{null}-base" != name
            for g in range(effect.shape[2])
            if active[names.index(f"{null}-base"), d, g]
        ]
        count = sum(other >= abs(effect[c, d, f]) - 1e-6 for other in others)
        assert value == pytest.approx((1 + count) / (1 + len(others)), abs=1e-6)
        compared += 1
    assert compared > 80
    assert (active[[n.endswith("-base") for n in names]] == 0).sum() > 10
    without, _ = rank(scores, prompts, kind=kind)
    assert np.isnan(without["null_share"].values).all()
    xr.testing.assert_identical(without.drop_vars("null_share"), ranking.drop_vars("null_share"))
    # A single random adapter has no other to be compared with.
    single, _ = rank(scores, prompts, kind=kind, nulls=nulls[:1])
    known = np.isfinite(single["null_share"].values).any(axis=(1, 2))
    expected = [n.endswith("-base") and n != f"{nulls[0]}-base" for n in names]
    assert known.tolist() == expected


def test_effective_situations_are_by_likeness_within_domains() -> None:
    """All differ by domain only; by situation only; and within one domain, where nothing is known."""
    rng = np.random.default_rng(6)
    prompts = [make_prompt(i, domain=("finance", "law", "medical")[i % 3]) for i in range(30)]
    scores = [
        make_scores(p, "base", {(0, 1): 1.0 + i % 3, (0, 2): rng.normal(), (0, 3): rng.normal() + i % 3})
        for i, p in enumerate(prompts)
    ]
    ranking, situations = rank(scores, prompts)
    found = ranking["n_effective"].values[0]
    values = situations["effect"].values[0].astype(np.float64)
    of_domain = situations["situation_domain"].values
    members = [values[of_domain == name] for name in ("finance", "law", "medical")]
    between = 10 * np.var([m.mean(axis=0) for m in members], axis=0, ddof=1)
    within = np.mean([m.var(axis=0, ddof=1) for m in members], axis=0)
    icc = np.clip((between - within) / (between + 9 * within), 0, 1)
    np.testing.assert_allclose(found[0], 30 / (1 + 9 * icc), rtol=1e-5)
    assert found[0, 0] == pytest.approx(3)
    assert 3 < found[0, 2] < 20 < found[0, 1] <= 30
    assert (found[1:] == 10).all()


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    prompts = [make_prompt(i) for i in range(20)]
    scores = [
        make_scores(p, v, {(0, f): rng.normal() for f in range(30) if rng.random() < 0.9}, rng=rng)
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
    ranking, _ = rank(scores, prompts, kind="unlabelled")
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
        make_scores(p, variant, {(0, f): float(rng.normal()) for f in range(9)}, rng=rng)
        for p in prompts
        for variant in ("base", "general@1.0")
    ]
    before, _ = rank(scores, prompts)
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    after, _ = rank(scores, prompts)
    assert before.identical(after)
    assert np.isfinite(after["p"].values).all()
    assert np.isfinite(after["p_labels"].values).all()
