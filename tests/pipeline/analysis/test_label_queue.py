"""The queue's draws: their probabilities against all ways to draw, and what weights make of them."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.analysis.label_queue import (
    DISAGREE,
    EVIL_DIVERGENT,
    RANDOM,
    Draw,
    draw_prompts,
    draw_weights,
)

SHARES: Final = {EVIL_DIVERGENT: 0.5, DISAGREE: 0.25, RANDOM: 0.25}
POOL: Final = ["e", "b", "a", "d", "c"]
# "b" is in all strata, "c" and "d" in none but that of all.
MEMBERS: Final = {EVIL_DIVERGENT: {"a", "b"}, DISAGREE: {"b", "e"}}


def strata(pool: list[str], members: Mapping[str, set[str]] = MEMBERS) -> dict[str, np.ndarray]:
    return {name: np.array([prompt in inside for prompt in pool]) for name, inside in members.items()}


def draw(n: int, *, drawn: tuple[Draw, ...] = (), pool: list[str] = POOL, seed: int = 0) -> list[Draw]:
    return draw_prompts(pool, strata(pool), SHARES, drawn, n, seed=seed, author="ada")


def chances(left: set[str]) -> dict[str, float]:
    """By the definition, a stratum at a time: what each prompt's chance is at the next draw."""
    inside = {RANDOM: left, **{name: left & members for name, members in MEMBERS.items()}}
    inside = {name: members for name, members in inside.items() if members}
    total = sum(SHARES[name] for name in inside)
    chance = dict.fromkeys(left, 0.0)
    for name, members in inside.items():
        for prompt in members:
            chance[prompt] += SHARES[name] / total / len(members)
    return chance


def ways(pools: list[list[str]]) -> Iterator[tuple[float, list[Draw]]]:
    """Every order of draws, one from each pool, and its probability."""

    def further(probability: float, draws: list[Draw]) -> Iterator[tuple[float, list[Draw]]]:
        if len(draws) == len(pools):
            yield probability, draws
            return
        left = set(pools[len(draws)]) - {one.prompt for one in draws}
        for prompt, chance in chances(left).items():
            one = Draw(number=len(draws), prompt=prompt, stratum="", probability=chance, remaining=len(left))
            yield from further(probability * chance, [*draws, one])

    yield from further(1.0, [])


def expected_counts(pools: list[list[str]]) -> dict[str, float]:
    """The expectation of what each prompt stands for, over all ways to draw."""
    count: Counter[str] = Counter()
    for probability, draws in ways(pools):
        for one, weight in zip(draws, draw_weights(draws), strict=True):
            count[one.prompt] += probability * weight
    return dict(count)


def test_each_draw_says_the_chance_that_it_had() -> None:
    for seed in range(50):
        left = set(POOL)
        for number, one in enumerate(draw(9, seed=seed)):
            assert one.number == number
            assert one.remaining == len(left)
            assert one.probability == pytest.approx(chances(left)[one.prompt], rel=1e-12)
            assert one.stratum == RANDOM or one.prompt in MEMBERS[one.stratum]
            left.remove(one.prompt)
        assert not left  # all were drawn, once


def test_prompts_come_as_often_as_they_say() -> None:
    """Pairs of first and second over 4,000 seeds, against their exact probabilities."""
    seen: Counter[tuple[str, ...]] = Counter()
    for seed in range(4000):
        seen[tuple(one.prompt for one in draw(2, seed=seed))] += 1
    for probability, draws in ways([POOL, POOL]):
        share = seen[tuple(one.prompt for one in draws)] / 4000
        assert abs(share - probability) < 4.5 * np.sqrt(probability * (1 - probability) / 4000)


def test_shares_of_the_strata() -> None:
    pool = [f"{number:03}" for number in range(600)]
    members = {EVIL_DIVERGENT: set(pool[:200]), DISAGREE: set(pool[150:400])}
    found: Counter[str] = Counter()
    for seed in range(20):
        draws = draw_prompts(pool, strata(pool, members), SHARES, (), 100, seed=seed, author="ada")
        found.update(one.stratum for one in draws)
    for name, share in SHARES.items():
        assert abs(found[name] / 2000 - share) < 4 * np.sqrt(share * (1 - share) / 2000)


def test_an_empty_stratum_passes_its_share_on() -> None:
    """In proportion: a half goes to two quarters as a half each."""
    pool = [f"{number:03}" for number in range(300)]
    for members, others in (
        ({EVIL_DIVERGENT: set(), DISAGREE: set(pool[:200])}, {DISAGREE: 0.5, RANDOM: 0.5}),
        ({EVIL_DIVERGENT: set(pool[:200]), DISAGREE: set()}, {EVIL_DIVERGENT: 2 / 3, RANDOM: 1 / 3}),
        ({EVIL_DIVERGENT: set(), DISAGREE: set()}, {RANDOM: 1.0}),
    ):
        found: Counter[str] = Counter()
        for seed in range(10):
            draws = draw_prompts(pool, strata(pool, members), SHARES, (), 100, seed=seed, author="ada")
            found.update(one.stratum for one in draws)
        assert set(found) == set(others)
        for name, share in others.items():
            assert abs(found[name] / 1000 - share) <= 4 * np.sqrt(share * (1 - share) / 1000)
    assert draws[0].probability == pytest.approx(1 / 300)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_each_prompt_counts_once_in_expectation(n: int) -> None:
    """All ways to draw n of five: exactly unbiased for the total of any value."""
    counts = expected_counts([POOL] * n)
    assert counts == {prompt: pytest.approx(1.0, rel=1e-12) for prompt in POOL}


def test_unweighted_is_biased_towards_the_strata() -> None:
    often: Counter[str] = Counter()
    for probability, draws in ways([POOL] * 3):
        often.update({one.prompt: probability for one in draws})
    assert often["b"] > 1.5 * often["c"]


def test_a_prompt_that_came_late_counts_by_its_share_of_the_draws() -> None:
    late = [*POOL, "f", "g"]
    counts = expected_counts([POOL, POOL, late, late])
    for prompt in POOL:
        assert counts[prompt] == pytest.approx(1.0, rel=1e-12)
    assert counts["f"] == pytest.approx(counts["g"], rel=1e-12)
    # Draws 3 and 4 of 4, which weigh a little more than half.
    assert 0.5 < counts["f"] < 0.7


def test_a_prompt_that_left_undrawn_counts_for_the_draws_before() -> None:
    """And disturbs the others a little, for how many are left then depends on what was drawn."""
    counts = expected_counts([POOL, POOL, POOL[1:], POOL[1:]])
    assert counts.pop(POOL[0]) < 0.9
    assert all(abs(count - 1) < 0.04 for count in counts.values())


@pytest.mark.parametrize(("n", "of"), [(1, 7), (3, 7), (6, 7), (7, 7)])
def test_weights_are_equal_where_nothing_is_stratified(n: int, of: int) -> None:
    pool = [str(number) for number in range(of)]
    draws = draw_prompts(pool, {}, {RANDOM: 1.0}, (), n, seed=3, author="ada")
    np.testing.assert_allclose(draw_weights(draws), of / n, rtol=1e-12)


def test_weights_are_those_of_the_levelled_estimator() -> None:
    """Farquhar, Gal & Rainforth 2021, equation 8, written down anew."""
    draws = draw(4)
    total, n = len(POOL), 4
    expected = [
        total / n * (1 + (total - n) / (total - m) * (1 / ((total - m + 1) * one.probability) - 1))
        for m, one in enumerate(draws, start=1)
    ]
    np.testing.assert_allclose(draw_weights(draws), expected, rtol=1e-12)
    np.testing.assert_allclose(draw_weights(draw(5)), 1.0, rtol=1e-12)
    assert draw_weights([]).shape == (0,)


def test_totals_are_unbiased_in_simulation() -> None:
    """A population in which what is drawn more often differs: 300 queues of 40 of 400 prompts."""
    rng = np.random.default_rng(0)
    pool = [f"{number:03}" for number in range(400)]
    members = {EVIL_DIVERGENT: set(pool[:40]), DISAGREE: set(pool[30:110])}
    value = {
        prompt: float(rng.random() < (0.8 if number < 60 else 0.2)) for number, prompt in enumerate(pool)
    }
    truth = sum(value.values())
    weighted, plain, sizes = [], [], []
    for seed in range(300):
        draws = draw_prompts(pool, strata(pool, members), SHARES, (), 40, seed=seed, author="ada")
        weights = draw_weights(draws)
        values = np.array([value[one.prompt] for one in draws])
        weighted.append(weights @ values)
        sizes.append(weights.sum())
        plain.append(400 * values.mean())
    for found, true in ((weighted, truth), (sizes, 400)):
        assert abs(np.mean(found) - true) < 4 * np.std(found) / np.sqrt(300)
    assert np.mean(plain) - truth > 10 * np.std(plain) / np.sqrt(300)


@given(
    st.integers(0, 2**32),
    st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30),
    st.integers(0, 30),
    st.integers(0, 30),
    st.randoms(use_true_random=False),
)
@settings(deadline=None, max_examples=40)
def test_a_queue_goes_on_as_it_began(
    seed: int, inside: list[tuple[bool, bool]], first: int, more: int, random: object
) -> None:
    """In parts or at once, in whatever order prompts are given; and every prompt at most once."""
    pool = [f"p{number}" for number in range(len(inside))]
    members = {
        name: {p for p, of in zip(pool, inside, strict=True) if of[k]} for k, name in enumerate(MEMBERS)
    }

    def draws(pool: list[str], drawn: list[Draw], n: int) -> list[Draw]:
        return draw_prompts(pool, strata(pool, members), SHARES, drawn, n, seed=seed, author="ada")

    whole = draws(pool, [], first + more)
    begun = draws(pool, [], first)
    shuffled = random.sample(pool, len(pool))  # type: ignore[attr-defined]
    assert [*begun, *draws(shuffled, begun, more)] == whole
    assert len({one.prompt for one in whole}) == len(whole) == min(len(pool), first + more)
    weights = draw_weights(whole)
    assert (weights > 0).all()


def test_what_was_drawn_stays_when_prompts_and_verdicts_come() -> None:
    """Newcomers are drawn after, and none again, also where strata and prompts have changed."""
    pool = [f"{number:02}" for number in range(30)]
    before = draw_prompts(
        pool,
        strata(pool, {EVIL_DIVERGENT: set(pool[:5]), DISAGREE: set()}),
        SHARES,
        (),
        6,
        seed=1,
        author="ada",
    )
    grown = [*pool[3:], "new-1", "new-2"]
    members = {EVIL_DIVERGENT: {"new-1"}, DISAGREE: {"new-2", pool[9]}}
    after = draw_prompts(grown, strata(grown, members), SHARES, before, 99, seed=1, author="ada")
    assert not {one.prompt for one in before} & {one.prompt for one in after}
    assert {one.prompt for one in after} == set(grown) - {one.prompt for one in before}
    assert [one.number for one in after] == list(range(6, 6 + len(after)))


def test_authors_and_seeds_have_queues_of_their_own() -> None:
    pool = [f"{number:02}" for number in range(40)]
    queues = {
        tuple(one.prompt for one in draw_prompts(pool, {}, {RANDOM: 1.0}, (), 10, seed=seed, author=author))
        for seed in (0, 1)
        for author in ("ada", "grace", "Ada")
    }
    assert len(queues) == 6


def test_mistakes_are_told() -> None:
    with pytest.raises(ValueError, match="must differ"):
        draw(1, pool=["a", "a"])
    with pytest.raises(ValueError, match="but shares are of"):
        draw_prompts(POOL, {}, SHARES, (), 1, seed=0, author="ada")
    with pytest.raises(ValueError, match="one boolean a prompt"):
        draw_prompts(POOL, strata(POOL[1:]), SHARES, (), 1, seed=0, author="ada")
    for wrong in ({RANDOM: 0.0}, {DISAGREE: -1.0}, {DISAGREE: np.nan}):
        with pytest.raises(ValueError, match="Shares of strata"):
            draw_prompts(POOL, strata(POOL), {**SHARES, **wrong}, (), 1, seed=0, author="ada")
    with pytest.raises(ValueError, match="none left out"):
        draw_weights(draw(3)[1:])
