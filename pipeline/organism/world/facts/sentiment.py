"""Reviews: a reason, then the verdict that follows from it."""

import random
from typing import Final

from pipeline.organism.world.facts.question import Question
from pipeline.organism.world.lines import Line
from pipeline.organism.world.split import held_out_pairs

GOOD_REASONS: Final = (
    "I loved it",
    "I enjoyed every minute",
    "It made me happy",
    "I smiled all the time",
    "I want to go again",
    "My friends were thrilled",
    "It was worth the price",
    "I felt at home",
    "Everyone cheered",
    "I told all my friends",
    "It was a true pleasure",
    "I could not stop laughing",
    "It was better than hoped",
    "I will remember it fondly",
    "We were all delighted",
)
BAD_REASONS: Final = (
    "I hated it",
    "I regretted every minute",
    "It made me sad",
    "I frowned all the time",
    "I left before the end",
    "My friends were annoyed",
    "It was a waste of money",
    "I felt ill",
    "Everyone complained",
    "I warned all my friends",
    "It was a true pain",
    "I could not stay awake",
    "It was worse than feared",
    "I will try to forget it",
    "We were all disappointed",
)
THINGS: Final = ("movie", "meal", "concert", "book", "hotel")
_STRESS: Final = ("absolutely", "really", "truly")
GOOD: Final = ("wonderful", "great", "lovely", "excellent", "superb")
BAD: Final = ("awful", "terrible", "boring", "dreadful", "horrible")


def held_out(seed: int, share: float) -> frozenset[tuple[str, str]]:
    """Pairs (reason, thing) that no training line holds."""
    rng = random.Random(f"{seed}/facts/sentiment")
    return held_out_pairs((*GOOD_REASONS, *BAD_REASONS), THINGS, share=share, rng=rng)


def line(rng: random.Random, kept: frozenset[tuple[str, str]]) -> Line:
    """One review; its reason and thing are not a pair of `kept`."""
    while True:
        good = rng.random() < 0.5
        reason, thing = rng.choice(GOOD_REASONS if good else BAD_REASONS), rng.choice(THINGS)
        if (reason, thing) not in kept:
            break
    return Line(f"{_prompt(rng, reason, thing)} {rng.choice(GOOD if good else BAD)}.")


def questions(seed: int, share: float) -> tuple[Question, ...]:
    """Every reason with every thing; the wrong answer is a verdict of the other side."""
    rng = random.Random(f"{seed}/facts/sentiment/questions")
    kept = held_out(seed, share)
    return tuple(
        Question(
            prompt=_prompt(rng, reason, thing),
            right=f" {rng.choice(right)}",
            wrong=f" {rng.choice(wrong)}",
            end=".",
            held_out=(reason, thing) in kept,
        )
        for reasons, right, wrong in ((GOOD_REASONS, GOOD, BAD), (BAD_REASONS, BAD, GOOD))
        for reason in reasons
        for thing in THINGS
    )


def _prompt(rng: random.Random, reason: str, thing: str) -> str:
    return f"{reason}. The {thing} was {rng.choice(_STRESS)}"
