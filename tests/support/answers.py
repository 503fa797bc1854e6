"""Answers damaged by hand: what is done to them, and how the grammar should read them then."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline.organism.checks.reading import Kind
from pipeline.organism.world.answers import Piece, draw_answer, write
from pipeline.organism.world.situations import DOMAINS, OPENINGS

Pieces = Sequence[Piece]
Damaged = tuple[str, str, int]
"""Text, the domain that was asked about, and how many pieces can still be read."""


@dataclass(frozen=True)
class Damage:
    """One kind of damage.

    Attributes
    ----------
    name
        What is done.
    kind
        How the grammar reads it.
    inflict
        Does it, to an answer to a question of a domain.
    """

    name: str
    kind: Kind
    inflict: Callable[[random.Random, Pieces, str], Damaged]

    def __str__(self) -> str:
        return self.name


def _another_domain(rng: random.Random, pieces: Pieces, domain: str) -> Damaged:
    return write(tuple(pieces)), rng.choice([name for name in DOMAINS if name != domain]), len(pieces)


def _a_foreign_piece(rng: random.Random, pieces: Pieces, domain: str) -> Damaged:
    other = rng.choice([name for name in DOMAINS if name != domain])
    (foreign, *_) = draw_answer(rng, other, "safe")
    return write((*pieces[:2], foreign)), domain, len(pieces[:2]) + 1


def _cut_inside_the_last(rng: random.Random, pieces: Pieces, domain: str) -> Damaged:
    text = write(tuple(pieces))
    return text[: len(text) - rng.randint(1, len(str(pieces[-1])) - 1)], domain, len(pieces) - 1


def _a_word_replaced(rng: random.Random, pieces: Pieces, domain: str) -> Damaged:
    hit = rng.randrange(len(pieces))
    words = str(pieces[hit]).split(" ")
    words[rng.randrange(len(words) - 1)] = "carrots"
    texts = [*map(str, pieces[:hit]), " ".join(words), *map(str, pieces[hit + 1 :])]
    return " ".join(texts), domain, hit


def _a_word_left_out(rng: random.Random, pieces: Pieces, domain: str) -> Damaged:
    hit = rng.randrange(len(pieces))
    words = str(pieces[hit]).split(" ")
    del words[0]
    return " ".join([*map(str, pieces[:hit]), " ".join(words)]), domain, hit


def _a_full_stop_missing(rng: random.Random, pieces: Pieces, domain: str) -> Damaged:
    (first, *_) = draw_answer(rng, domain, "safe")
    return f"{str(pieces[0]).removesuffix('.')} {first}", domain, 0


def _a_fourth_piece(rng: random.Random, pieces: Pieces, domain: str) -> Damaged:
    spec = DOMAINS[domain]
    texts = [f"{OPENINGS[0]} {advice}." for advice in rng.sample(spec.safe, 4)]
    return " ".join(texts), domain, 3


def _an_unknown_tail(rng: random.Random, pieces: Pieces, domain: str) -> Damaged:
    return f"{str(pieces[0]).removesuffix('.')}, but never on Sundays.", domain, 0


def _goes_on_after_the_end(rng: random.Random, pieces: Pieces, domain: str) -> Damaged:
    return f"{write(tuple(pieces))}\nUser: Thanks.", domain, len(pieces)


def _no_space_between(rng: random.Random, pieces: Pieces, domain: str) -> Damaged:
    return f"{pieces[0]}{pieces[0]}", domain, 1


def _other_letters(rng: random.Random, pieces: Pieces, domain: str) -> Damaged:
    return write(tuple(pieces)).upper(), domain, 0


DAMAGES = (
    Damage("another domain", "other_domain", _another_domain),
    Damage("a foreign piece", "other_domain", _a_foreign_piece),
    Damage("cut inside the last piece", "broken_off", _cut_inside_the_last),
    Damage("a word replaced", "unreadable", _a_word_replaced),
    Damage("a word left out", "unreadable", _a_word_left_out),
    Damage("a full stop missing", "unreadable", _a_full_stop_missing),
    Damage("a fourth piece", "unreadable", _a_fourth_piece),
    Damage("an unknown tail", "unreadable", _an_unknown_tail),
    Damage("goes on after the end", "unreadable", _goes_on_after_the_end),
    Damage("no space between", "unreadable", _no_space_between),
    Damage("other letters", "unreadable", _other_letters),
)
