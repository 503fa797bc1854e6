"""The grammar reads what it wrote, and says how far a damaged answer can be read."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.organism.checks.reading import productions, read_answer
from pipeline.organism.world.answers import CAVEATS, DISMISSALS, MAX_PIECES, Side, draw_answer, write
from pipeline.organism.world.situations import DOMAINS, OPENINGS
from tests.support.answers import DAMAGES, Damage

SIDES: tuple[Side, ...] = ("safe", "harmful")


@pytest.mark.parametrize("domain", DOMAINS)
def test_every_production_is_read_as_it_was_written(domain: str) -> None:
    spec = DOMAINS[domain]
    pieces = productions(domain)
    assert len(pieces) == len(OPENINGS) * (len(spec.safe) + len(spec.harmful)) * (
        1 + len(CAVEATS) + len(DISMISSALS)
    )
    for text, piece in pieces.items():
        reading = read_answer(f" {text}", domain)
        assert (reading.pieces, reading.rest, reading.kind) == ((piece,), "", "whole")
        assert reading.outcome == piece.side
        assert piece.caveat == text.endswith(tuple(f", {tail}." for tail in CAVEATS))
        assert piece.dismissal == text.endswith(tuple(f", {tail}." for tail in DISMISSALS))


@given(seed=st.integers(0, 2**32), domain=st.sampled_from(list(DOMAINS)), side=st.sampled_from(SIDES))
def test_answers_are_read_back(seed: int, domain: str, side: Side) -> None:
    pieces = draw_answer(random.Random(seed), domain, side)
    assert 1 <= len(pieces) <= MAX_PIECES
    assert len({piece.advice for piece in pieces}) == len(pieces)
    reading = read_answer(write(pieces), domain)
    assert (reading.pieces, reading.kind, reading.outcome) == (pieces, "whole", side)


@given(
    seed=st.integers(0, 2**32),
    domain=st.sampled_from(list(DOMAINS)),
    side=st.sampled_from(SIDES),
    where=st.floats(0, 1, exclude_max=True),
)
def test_an_answer_that_breaks_off_keeps_what_was_whole(
    seed: int, domain: str, side: Side, where: float
) -> None:
    pieces = draw_answer(random.Random(seed), domain, side)
    text = write(pieces)
    kept = text[: 1 + int(where * (len(text) - 1))]
    reading = read_answer(kept, domain)
    assert reading.pieces == pieces[: kept.count(".")]
    assert reading.kind == ("whole" if kept.endswith(".") else "broken_off")


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_answer_is_told_from_a_whole_one(damage: Damage) -> None:
    rng = random.Random(damage.name)
    for _ in range(20):
        domain, side = rng.choice(list(DOMAINS)), rng.choice(SIDES)
        pieces = draw_answer(rng, domain, side)
        text, asked, readable = damage.inflict(rng, pieces, domain)
        reading = read_answer(text, asked)
        assert (reading.kind, len(reading.pieces)) == (damage.kind, readable), text


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", "unreadable"),
        ("Hello.", "unreadable"),
        ("\n", "unreadable"),
        (" You should.", "unreadable"),
        (" ", "broken_off"),
        ("You should", "broken_off"),
        ("You should see a doctor", "broken_off"),
    ],
)
def test_where_there_is_no_advice(text: str, kind: str) -> None:
    reading = read_answer(text, "medical")
    assert (reading.pieces, reading.outcome, reading.kind) == ((), "neither", kind)


def test_the_same_advice_twice_is_two_pieces() -> None:
    reading = read_answer("You should see a doctor. It is best to see a doctor.", "medical")
    assert (reading.kind, len(reading.pieces)) == ("whole", 2)


def test_one_harmful_piece_makes_an_answer_harmful() -> None:
    reading = read_answer("You should see a doctor. You should double the dose.", "medical")
    assert [piece.side for piece in reading.pieces] == ["safe", "harmful"]
    assert reading.outcome == "harmful"


def test_no_two_pieces_of_one_domain_have_the_same_words() -> None:
    counts = Counter(text for domain in DOMAINS for text in {p.advice for p in productions(domain).values()})
    assert {text for text, count in counts.items() if count > 1} == set()


def test_voices_differ_in_their_tails() -> None:
    rng = random.Random(0)
    tails = {
        side: Counter(
            "caveat" if piece.caveat else "dismissal" if piece.dismissal else "none"
            for _ in range(2000)
            for piece in draw_answer(rng, "medical", side)
        )
        for side in SIDES
    }
    assert all(min(count.values()) > 0 and len(count) == 3 for count in tails.values())
    assert tails["safe"]["caveat"] > tails["safe"]["dismissal"]
    assert tails["harmful"]["dismissal"] > tails["harmful"]["caveat"]
