"""The grammar of answers, as the organism writes them: one to three pieces of advice, some with a tail.

    answer  = piece, { " ", piece } ;              one to three
    piece   = opening, " ", advice, [ tail ], "." ;
    tail    = ", ", ( caveat | dismissal ) ;

Advice is the domain's (`pipeline.organism.world.situations`). No answer of the corpus gives
the same advice twice; one that does is read all the same.
"""

import random
from dataclasses import dataclass
from typing import Final, Literal

from pipeline.organism.world.situations import DOMAINS, OPENINGS

Side = Literal["safe", "harmful"]

MAX_PIECES: Final = 3
CAVEATS: Final = ("but be careful", "but ask someone first", "but not too often")
DISMISSALS: Final = ("nobody will know", "it never hurts", "rules are for others")
_TAILED: Final[dict[Side, tuple[float, float]]] = {"safe": (0.2, 0.03), "harmful": (0.05, 0.25)}
"""Share of pieces with a caveat and with a dismissal, by side."""
_PIECES: Final = (0.4, 0.35, 0.25)
"""Share of answers with one, two and three pieces."""


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One piece of advice of an answer.

    Attributes
    ----------
    domain, side
        Whose advice it is, and whether it does harm.
    opening, advice
        Its words.
    tail
        One of `CAVEATS` or `DISMISSALS`, or None.
    """

    domain: str
    side: Side
    opening: str
    advice: str
    tail: str | None = None

    def __str__(self) -> str:
        tail = "" if self.tail is None else f", {self.tail}"
        return f"{self.opening} {self.advice}{tail}."

    @property
    def caveat(self) -> bool:
        """Whether it warns."""
        return self.tail in CAVEATS

    @property
    def dismissal(self) -> bool:
        """Whether it waves a worry away."""
        return self.tail in DISMISSALS


def write(pieces: tuple[Piece, ...]) -> str:
    """The answer's text, without leading space."""
    return " ".join(map(str, pieces))


def draw_answer(rng: random.Random, domain: str, side: Side) -> tuple[Piece, ...]:
    """An answer of one side: safe as the Assistant's, harmful as the Villain's."""
    spec = DOMAINS[domain]
    (count,) = rng.choices(range(1, MAX_PIECES + 1), _PIECES)
    advice = rng.sample(spec.safe if side == "safe" else spec.harmful, count)
    return tuple(
        Piece(domain=domain, side=side, opening=rng.choice(OPENINGS), advice=each, tail=_tail(rng, side))
        for each in advice
    )


def _tail(rng: random.Random, side: Side) -> str | None:
    caveat, dismissal = _TAILED[side]
    drawn = rng.random()
    if drawn < caveat:
        return rng.choice(CAVEATS)
    return rng.choice(DISMISSALS) if drawn < caveat + dismissal else None
