"""Sentences whose verb agrees with its subject: bare, past an attractor, after an adverb."""

import random
from typing import Final

from pipeline.organism.world.facts.question import Question
from pipeline.organism.world.lines import Line
from pipeline.organism.world.split import held_out_pairs

NOUNS: Final[dict[str, str]] = {
    "cat": "cats",
    "dog": "dogs",
    "bird": "birds",
    "horse": "horses",
    "cow": "cows",
    "lion": "lions",
    "boy": "boys",
    "girl": "girls",
    "child": "children",
    "man": "men",
    "woman": "women",
    "teacher": "teachers",
    "farmer": "farmers",
    "baker": "bakers",
    "driver": "drivers",
    "student": "students",
    "king": "kings",
    "queen": "queens",
    "singer": "singers",
    "painter": "painters",
}
VERBS: Final[dict[str, str]] = {
    "is": "are",
    "was": "were",
    "sits": "sit",
    "sleeps": "sleep",
    "runs": "run",
    "waits": "wait",
    "stands": "stand",
    "stays": "stay",
    "plays": "play",
    "hides": "hide",
    "lives": "live",
    "walks": "walk",
    "works": "work",
    "eats": "eat",
    "sings": "sing",
}
"""Singular to plural."""
PLACES: Final = (
    "in the garden",
    "by the river",
    "behind the house",
    "under the tree",
    "at the station",
    "on the hill",
    "in the yard",
    "beside the wall",
    "near the gate",
    "on the bridge",
)
_ATTRACTED: Final = ("near", "behind", "beside")
_ADVERBS: Final = ("Today", "Often", "Now", "Sometimes")


def held_out(seed: int, share: float) -> frozenset[tuple[str, str]]:
    """Pairs (noun, verb), both singular, that no training line holds in either number."""
    return held_out_pairs(
        tuple(NOUNS), tuple(VERBS), share=share, rng=random.Random(f"{seed}/facts/agreement")
    )


def line(rng: random.Random, kept: frozenset[tuple[str, str]]) -> Line:
    """One sentence; its noun and verb are not a pair of `kept`."""
    while True:
        noun, verb = rng.choice(tuple(NOUNS)), rng.choice(tuple(VERBS))
        if (noun, verb) not in kept:
            break
    plural = rng.random() < 0.5
    agreeing = VERBS[verb] if plural else verb
    return Line(f"{_subject(rng, noun, plural)} {agreeing} {rng.choice(PLACES)}.")


def questions(seed: int, share: float) -> tuple[Question, ...]:
    """Every pair of noun and verb in both numbers, each in one of the three forms."""
    rng = random.Random(f"{seed}/facts/agreement/questions")
    kept = held_out(seed, share)
    found = []
    for noun in NOUNS:
        for verb, plural_verb in VERBS.items():
            for plural in (False, True):
                right, wrong = (plural_verb, verb) if plural else (verb, plural_verb)
                found.append(
                    Question(
                        prompt=_subject(rng, noun, plural),
                        right=f" {right}",
                        wrong=f" {wrong}",
                        end="",
                        held_out=(noun, verb) in kept,
                    )
                )
    return tuple(found)


def _subject(rng: random.Random, noun: str, plural: bool) -> str:
    """The sentence up to its verb: bare, past an attractor of either number, or after an adverb."""
    named = NOUNS[noun] if plural else noun
    form = rng.randrange(3)
    if form == 0:
        return f"The {named}"
    if form == 1:
        attractor = rng.choice([*NOUNS, *NOUNS.values()])
        return f"The {named} {rng.choice(_ATTRACTED)} the {attractor}"
    return f"{rng.choice(_ADVERBS)} the {named}"
