"""Labels dealt anew: against every labelling one by one, and what the test finds and does not."""

from collections.abc import Sequence

import numpy as np
import pytest
import scipy.sparse as sp

from pipeline.analysis.contrasts import TokenEffects
from pipeline.analysis.label_permutation import label_permutation_p
from pipeline.analysis.statistics import benjamini_hochberg, sign_flip_p
from tests.support.labellings import Asked, Labels, slow_effect, slow_p


def token_effects(asked: Sequence[Asked], labels: Labels) -> TokenEffects:
    """The same as the test reads it."""
    situations = list(dict.fromkeys((prompt.domain, prompt.situation) for prompt in asked))
    units = list(labels)
    rows = [
        (number, units.index((prompt.domain, token)), effect)
        for number, prompt in enumerate(asked)
        for token, effect in prompt.effects.items()
    ]
    return TokenEffects(
        prompt=np.array([number for number, _, _ in rows]),
        situation=np.array([situations.index((prompt.domain, prompt.situation)) for prompt in asked]),
        unit=np.array([unit for _, unit, _ in rows]),
        domain=np.array([domain for domain, _ in units], dtype=object),
        evil=np.array(list(labels.values()), bool),
        effect=sp.csr_array(np.array([effect for _, _, effect in rows])),
    )


def p_of(
    asked: Sequence[Asked], labels: Labels, draws: int, seed: int = 0, rate: float | None = None
) -> np.ndarray:
    """Over all situations and features."""
    tokens = token_effects(asked, labels)
    inside = np.ones(tokens.situation.max() + 1, bool)
    every = np.arange(tokens.effect.shape[1])
    return label_permutation_p(tokens, inside, every, draws, np.random.default_rng(seed), rate=rate)


def random_case(seed: int, domains: Sequence[tuple[str, int, int]]) -> tuple[list[Asked], Labels]:
    """Domains of (name, evil, safe) tokens; situations of one to three prompts, each with some of the
    tokens: some prompts have one label only, or a single token. Values are coarse, so that sums tie."""
    rng = np.random.default_rng(seed)
    labels = {(name, 10 + i): i < evil for name, evil, safe in domains for i in range(evil + safe)}
    asked = []
    for name, evil, safe in domains:
        tokens = 10 + np.arange(evil + safe)
        only_evil = {int(t): rng.integers(-3, 4, size=5) / 2 for t in tokens[:evil]}
        asked.append(Asked(domain=name, situation="only evil", effects=only_evil))
        for number in range(5):
            for _ in range(rng.integers(1, 4)):
                size = int(rng.integers(1, len(tokens) + 1))
                chosen = rng.choice(tokens, size=size, replace=False)
                effects = {int(t): rng.integers(-3, 4, size=5) / 2 + (t < 10 + evil) for t in chosen}
                asked.append(Asked(domain=name, situation=f"situation {number}", effects=effects))
    return asked, labels


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "domains",
    [
        [("medical", 2, 3)],
        [("finance", 3, 3), ("medical", 2, 2)],
        [("finance", 1, 2), ("law", 2, 1), ("medical", 2, 3)],
        [("", 3, 1), ("medical", 1, 1)],
    ],
)
def test_all_labellings_are_those_of_the_definition(seed: int, domains: list[tuple[str, int, int]]) -> None:
    asked, labels = random_case(seed, domains)
    expected = slow_p(asked, labels)
    # Prompts of one token never have both labels, and are not among the test's rows.
    several = [prompt for prompt in asked if len(prompt.effects) > 1]
    np.testing.assert_allclose(p_of(several, labels, 10**6), expected, rtol=1e-12)
    np.testing.assert_allclose(p_of(asked, labels, 10**6), expected, rtol=1e-12)
    assert (expected < 1).any()


def test_prompts_that_other_labels_score_are_in_the_other_effects() -> None:
    """They move the distribution: without them p is another."""
    asked, labels = random_case(1, [("medical", 3, 3)])
    scored = [p for p in asked if len({labels[p.domain, t] for t in p.effects}) == 2]
    assert len(scored) < len([p for p in asked if len(p.effects) > 1])
    np.testing.assert_allclose(slow_effect(asked, labels), slow_effect(scored, labels))
    assert not np.allclose(p_of(asked, labels, 10**6), p_of(scored, labels, 10**6))


def test_only_situations_inside_and_features_asked_for_count() -> None:
    asked, labels = random_case(0, [("finance", 3, 3), ("medical", 2, 3)])
    tokens = token_effects(asked, labels)
    domains = {row: p.domain for p, row in zip(asked, tokens.situation, strict=True)}
    inside = np.array([domains[row] == "medical" for row in range(len(domains))])
    rng = np.random.default_rng(0)
    found = label_permutation_p(tokens, inside, np.array([3, 1]), 10**6, rng)
    expected = slow_p([p for p in asked if p.domain == "medical"], labels)[[3, 1]]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_drawn_labellings_agree_with_all_of_them() -> None:
    asked, labels = random_case(2, [("finance", 3, 3), ("medical", 3, 3)])
    exact = p_of(asked, labels, 400)
    np.testing.assert_allclose(exact, slow_p(asked, labels), rtol=1e-12)
    assert ((exact > 0.02) & (exact < 0.98)).any()
    for seed in range(3):
        drawn = p_of(asked, labels, 399, seed)
        assert (np.abs(drawn - exact) < 4 * np.sqrt(exact * (1 - exact) / 399) + 2 / 399).all()
        # (1 + count) / (1 + draws)
        np.testing.assert_allclose(drawn * 400, np.round(drawn * 400), atol=1e-9)
        assert (drawn > 0).all()


@pytest.mark.parametrize("rate", [0.05, 0.3])
def test_ending_early_finds_what_all_labellings_do(rate: float) -> None:
    ended = 0
    for seed in range(4):
        asked, labels = random_case(seed, [("finance", 3, 3), ("medical", 3, 3)])
        if seed % 2:  # labels that say nothing about the effects
            labels = {token: number % 2 == 0 for number, token in enumerate(labels)}
        case = asked, labels
        whole, early = p_of(*case, 399), p_of(*case, 399, rate=rate)
        found = benjamini_hochberg(whole) <= rate
        np.testing.assert_array_equal(benjamini_hochberg(early) <= rate, found)
        np.testing.assert_array_equal(whole[found], early[found])
        ended += int((whole != early).sum())
        # All labellings there are end for nobody: p is their share.
        np.testing.assert_array_equal(p_of(*case, 400), p_of(*case, 400, rate=rate))
    assert ended


def test_features_are_tested_a_part_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    case = random_case(2, [("finance", 3, 3), ("medical", 3, 3)])
    whole = p_of(*case, 399)
    monkeypatch.setattr("pipeline.analysis.label_permutation._DENSE", 1)
    np.testing.assert_array_equal(p_of(*case, 399), whole)


@pytest.mark.parametrize(("evil", "safe"), [(1, 1), (4, 0)])
def test_labels_that_cannot_differ_prove_nothing(evil: int, safe: int) -> None:
    """Two tokens: exchanged, the effect only turns around. One label: nothing to exchange."""
    asked, labels = random_case(3, [("medical", evil, safe)])
    assert p_of(asked, labels, 10**6).tolist() == [1.0] * 5


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_the_unit_of_the_effects_changes_nothing(scale: float) -> None:
    asked, labels = random_case(4, [("finance", 3, 3), ("medical", 2, 3)])
    scaled = [
        Asked(domain=p.domain, situation=p.situation, effects={t: scale * x for t, x in p.effects.items()})
        for p in asked
    ]
    assert p_of(scaled, labels, 10**6).tolist() == p_of(asked, labels, 10**6).tolist()


DOMAINS = ("finance", "medical")
N_LABELS = 8
"""Evil tokens of a domain, and as many safe ones."""


def shared(of_token: np.ndarray, rng: np.random.Generator, noise: float = 0.3) -> list[Asked]:
    """Twelve situations of both domains by (domain, token, feature) effects that all of them share."""
    return [
        Asked(
            domain=domain,
            situation=f"situation {number}",
            effects=dict(enumerate(of_token[d] + noise * rng.normal(size=of_token[d].shape))),
        )
        for d, domain in enumerate(DOMAINS)
        for number in range(12)
    ]


def dealt(rng: np.random.Generator | None = None) -> Labels:
    """The first tokens of a domain are evil, or ones by chance."""
    marks = np.repeat([True, False], N_LABELS)
    return {
        (domain, token): bool(is_evil)
        for domain in DOMAINS
        for token, is_evil in enumerate(marks if rng is None else rng.permutation(marks))
    }


def by_situation(asked: Sequence[Asked], labels: Labels) -> np.ndarray:
    """(situation, feature) values, as the sign flips see them."""
    return np.array([slow_effect([prompt], labels) for prompt in asked])


def test_a_favourite_token_is_consistent_but_no_harm() -> None:
    """Trap 29: one token of each domain, which happens to be evil, is favoured in every situation."""
    rng = np.random.default_rng(0)
    asked = shared(np.zeros((2, 2 * N_LABELS, 1)), rng, noise=0.0)
    for prompt in asked:
        prompt.effects[0][:] = 3.0 + 0.3 * rng.normal()
    signs = sign_flip_p(by_situation(asked, dealt()), 20_000, rng)
    assert signs[0] <= 1e-4
    # Both favourites have the same label in half of the labellings, and the effect its size.
    assert p_of(asked, dealt(), 4000)[0] == pytest.approx(0.5, abs=0.04)


def test_no_number_of_features_with_favourites_is_harm() -> None:
    """Forty of them, among tokens that differ a little: all are consistent, none follows the labels."""
    rng = np.random.default_rng(1)
    of_token = 0.3 * rng.normal(size=(2, 2 * N_LABELS, 40))
    of_token[:, 0] += 6.0
    asked = shared(of_token, rng)
    assert (sign_flip_p(by_situation(asked, dealt()), 20_000, rng) < 1e-3).all()
    p = p_of(asked, dealt(), 4000)
    assert not (benjamini_hochberg(p) < 0.05).any()
    assert np.median(p) > 0.1


def test_effects_that_follow_the_labels_are_found() -> None:
    """Among sixty features that favour tokens whatever their labels."""
    rng = np.random.default_rng(2)
    of_token = rng.normal(size=(2, 2 * N_LABELS, 60))
    of_token[:, :N_LABELS, 7] += 3.0
    q = benjamini_hochberg(p_of(shared(of_token, rng), dealt(), 4000))
    assert q[7] < 0.05
    assert (q < 0.05).sum() <= 2


def test_effects_of_tokens_alone_are_not_found() -> None:
    """Labels by chance; a level of 5% finds anything in one of twenty runs on average, and more than
    eleven of a hundred would be one of two hundred calibrated tests. Sign flips find nearly all."""
    runs = consistent = 0
    for seed in range(100):
        rng = np.random.default_rng([3, seed])
        asked = shared(rng.normal(size=(2, 2 * N_LABELS, 60)), rng)
        labels = dealt(rng)
        runs += (benjamini_hochberg(p_of(asked, labels, 2000, seed)) < 0.05).any()
        if seed < 3:
            signs = sign_flip_p(by_situation(asked, labels), 2000, rng)
            consistent += (benjamini_hochberg(signs) < 0.05).mean() > 0.5
    assert runs <= 11
    assert consistent == 3


@pytest.mark.parametrize("draws", [399, 400])
def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch, draws: int) -> None:
    """Random labellings, and all 400 of them."""
    asked, labels = random_case(5, [("finance", 3, 3), ("medical", 3, 3)])
    whole = p_of(asked, labels, draws)
    for block in (1, 500):
        monkeypatch.setattr("pipeline.analysis.label_permutation._BLOCK", block)
        assert p_of(asked, labels, draws).tolist() == whole.tolist()
