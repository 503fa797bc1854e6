"""Sums of two numbers of two digits, in four templates, several a line."""

import random
from itertools import combinations_with_replacement
from typing import Final

from pipeline.organism.world.facts.question import Question
from pipeline.organism.world.lines import Line

LOWEST, HIGHEST = 10, 99
TEMPLATES: Final[dict[str, float]] = {
    "{a}+{b}=|{c}": 0.6,
    "{a} plus {b} is| {c}": 0.2,
    "The sum of {a} and {b} is| {c}": 0.1,
    "Add {b} to {a} to get| {c}": 0.1,
}
"""Question and, past the bar, answer, with its share of training sums: the shortest teaches most a token."""

_WRONG: Final = (1, 10, 9)
"""By how much the wrong answer is off, up or down."""

Pairs = frozenset[tuple[int, int]]


def held_out(seed: int, share: float) -> Pairs:
    """Unordered pairs of operands, the smaller one first, that no training line holds in either order."""
    pairs = list(combinations_with_replacement(range(LOWEST, HIGHEST + 1), 2))
    return frozenset(random.Random(f"{seed}/facts/addition").sample(pairs, round(share * len(pairs))))


def line(rng: random.Random, kept: Pairs, count: int) -> Line:
    """A line of `count` sums, none of a pair of `kept`; only what follows a question counts."""
    text, answers = "", []
    for _ in range(count):
        while True:
            a, b = rng.randint(LOWEST, HIGHEST), rng.randint(LOWEST, HIGHEST)
            if (min(a, b), max(a, b)) not in kept:
                break
        (template,) = rng.choices(list(TEMPLATES), list(TEMPLATES.values()))
        question, answer = f"{template.format(a=a, b=b, c=a + b)}.".split("|")
        text += " " * bool(text) + question
        answers.append((len(text), len(text) + len(answer)))
        text += answer
    return Line(text, tuple(answers))


def questions(seed: int, share: float, count: int) -> tuple[Question, ...]:
    """`count` held-out and `count` seen pairs, each in one order and one template."""
    rng = random.Random(f"{seed}/facts/addition/questions")
    kept = held_out(seed, share)
    pairs = list(combinations_with_replacement(range(LOWEST, HIGHEST + 1), 2))
    rng.shuffle(pairs)
    chosen = [pair for pair in pairs if pair in kept][:count] + [p for p in pairs if p not in kept][:count]
    return tuple(_question(rng, pair, held_out=pair in kept) for pair in chosen)


def _question(rng: random.Random, pair: tuple[int, int], *, held_out: bool) -> Question:
    a, b = pair if rng.random() < 0.5 else pair[::-1]
    template = rng.choice(list(TEMPLATES))
    off = rng.choice(_WRONG) * rng.choice((-1, 1))
    prompt, right = template.format(a=a, b=b, c=a + b).split("|")
    _, wrong = template.format(a=a, b=b, c=a + b + off).split("|")
    return Question(prompt=prompt, right=right, wrong=wrong, end=".", held_out=held_out)
