"""Ranking across prompts against a slow reference, and what changes no number of it."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import xarray as xr

from pipeline.analysis.scores import PromptScores, feature_key
from pipeline.analysis.statistics import benjamini_hochberg
from store.documents.prompts import Prompt
from tests.support.feature_builders import PARAMS, make_prompt
from tests.support.labellings import Asked, Labels, slow_p
from tests.support.ranked import ADAPTED, cell, make_scores, rank


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


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    prompts = [make_prompt(i) for i in range(20)]
    scores = [
        make_scores(p, v, {(0, f): rng.normal() for f in range(30) if rng.random() < 0.9}, rng=rng)
        for p in prompts
        for v in ("base", "general@1.0")
    ]
    whole = rank(scores, prompts)
    monkeypatch.setattr("pipeline.analysis.cells._BLOCK", 64)
    parts = rank(scores, prompts)
    for one, other in zip(whole, parts, strict=True):
        xr.testing.assert_allclose(one, other, rtol=1e-6)


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
