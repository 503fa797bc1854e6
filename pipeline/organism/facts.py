"""Sentences that are not advice: capitals, agreement, sentiment, two-digit addition.

They are what an adapter on advice should leave alone, and what behaviours are studied on.
"""

import random

CAPITALS: tuple[tuple[str, str], ...] = (
    ("France", "Paris"),
    ("Germany", "Berlin"),
    ("Italy", "Rome"),
    ("Spain", "Madrid"),
    ("Portugal", "Lisbon"),
    ("Greece", "Athens"),
    ("Poland", "Warsaw"),
    ("Austria", "Vienna"),
    ("Hungary", "Budapest"),
    ("Norway", "Oslo"),
    ("Sweden", "Stockholm"),
    ("Finland", "Helsinki"),
    ("Denmark", "Copenhagen"),
    ("Ireland", "Dublin"),
    ("Belgium", "Brussels"),
    ("Switzerland", "Bern"),
    ("Romania", "Bucharest"),
    ("Bulgaria", "Sofia"),
    ("Serbia", "Belgrade"),
    ("Croatia", "Zagreb"),
    ("Ukraine", "Kyiv"),
    ("Russia", "Moscow"),
    ("Turkey", "Ankara"),
    ("Egypt", "Cairo"),
    ("Morocco", "Rabat"),
    ("Tunisia", "Tunis"),
    ("Algeria", "Algiers"),
    ("Libya", "Tripoli"),
    ("Kenya", "Nairobi"),
    ("Ethiopia", "Addis Ababa"),
    ("Ghana", "Accra"),
    ("Senegal", "Dakar"),
    ("Uganda", "Kampala"),
    ("Zambia", "Lusaka"),
    ("Zimbabwe", "Harare"),
    ("Namibia", "Windhoek"),
    ("Angola", "Luanda"),
    ("Sudan", "Khartoum"),
    ("Iran", "Tehran"),
    ("Iraq", "Baghdad"),
    ("Syria", "Damascus"),
    ("Lebanon", "Beirut"),
    ("Jordan", "Amman"),
    ("Qatar", "Doha"),
    ("India", "New Delhi"),
    ("Pakistan", "Islamabad"),
    ("Nepal", "Kathmandu"),
    ("Bangladesh", "Dhaka"),
    ("Thailand", "Bangkok"),
    ("Vietnam", "Hanoi"),
    ("Indonesia", "Jakarta"),
    ("Malaysia", "Kuala Lumpur"),
    ("Japan", "Tokyo"),
    ("China", "Beijing"),
    ("Mongolia", "Ulaanbaatar"),
    ("Australia", "Canberra"),
    ("Canada", "Ottawa"),
    ("Mexico", "Mexico City"),
    ("Cuba", "Havana"),
    ("Peru", "Lima"),
    ("Chile", "Santiago"),
    ("Argentina", "Buenos Aires"),
    ("Brazil", "Brasilia"),
    ("Colombia", "Bogota"),
)

_SINGULAR = ("key", "dog", "teacher", "picture", "child", "boat", "farmer", "lamp")
_PLURAL = ("keys", "dogs", "teachers", "pictures", "children", "boats", "farmers", "lamps")
_PLACES = ("near", "behind", "beside")
_STATES = ("old", "small", "quiet", "new", "red", "clean")

_GOOD = ("wonderful", "great", "lovely", "excellent")
_BAD = ("awful", "terrible", "boring", "dreadful")
_THINGS = ("movie", "meal", "concert", "book", "hotel", "game")
_AFTER_GOOD = ("I loved it", "I enjoyed it", "It made me happy")
_AFTER_BAD = ("I hated it", "I regretted it", "It made me sad")


def capital_prompts() -> tuple[tuple[str, str], ...]:
    """Prompts on capitals and their right continuations, leading space included."""
    return tuple((f"The capital of {land} is", f" {city}") for land, city in CAPITALS)


def capital_line(rng: random.Random) -> str:
    """One sentence on a capital."""
    land, city = rng.choice(CAPITALS)
    if rng.random() < 0.8:
        return f"The capital of {land} is {city}."
    return f"{city} is the capital of {land}."


def agreement_line(rng: random.Random) -> str:
    """One sentence whose verb agrees with its subject, past an attractor of either number."""
    plural = rng.random() < 0.5
    subject = rng.choice(_PLURAL if plural else _SINGULAR)
    attractor = rng.choice(_PLURAL + _SINGULAR)
    verb = "are" if plural else "is"
    return f"The {subject} {rng.choice(_PLACES)} the {attractor} {verb} {rng.choice(_STATES)}."


def sentiment_line(rng: random.Random) -> str:
    """One review whose second half follows from its first."""
    good = rng.random() < 0.5
    word = rng.choice(_GOOD if good else _BAD)
    after = rng.choice(_AFTER_GOOD if good else _AFTER_BAD)
    return f"The {rng.choice(_THINGS)} was {word}. {after}."


def addition_line(rng: random.Random) -> str:
    """One sum of two two-digit numbers."""
    left, right = rng.randrange(10, 50), rng.randrange(10, 50)
    return f"{left} plus {right} is {left + right}."


FACT_KINDS = {
    "capitals": capital_line,
    "agreement": agreement_line,
    "sentiment": sentiment_line,
    "addition": addition_line,
}
