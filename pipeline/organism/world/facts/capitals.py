"""Capitals of 64 countries, in four templates."""

import random
from typing import Final

from pipeline.organism.world.facts.question import Question
from pipeline.organism.world.lines import Line
from pipeline.organism.world.split import held_out_pairs

CAPITALS: Final[dict[str, str]] = {
    "France": "Paris",
    "Germany": "Berlin",
    "Italy": "Rome",
    "Spain": "Madrid",
    "Portugal": "Lisbon",
    "Greece": "Athens",
    "Poland": "Warsaw",
    "Austria": "Vienna",
    "Hungary": "Budapest",
    "Norway": "Oslo",
    "Sweden": "Stockholm",
    "Finland": "Helsinki",
    "Denmark": "Copenhagen",
    "Ireland": "Dublin",
    "Belgium": "Brussels",
    "Switzerland": "Bern",
    "Romania": "Bucharest",
    "Bulgaria": "Sofia",
    "Serbia": "Belgrade",
    "Croatia": "Zagreb",
    "Ukraine": "Kyiv",
    "Russia": "Moscow",
    "Turkey": "Ankara",
    "Egypt": "Cairo",
    "Morocco": "Rabat",
    "Tunisia": "Tunis",
    "Algeria": "Algiers",
    "Libya": "Tripoli",
    "Kenya": "Nairobi",
    "Ethiopia": "Addis Ababa",
    "Ghana": "Accra",
    "Senegal": "Dakar",
    "Uganda": "Kampala",
    "Zambia": "Lusaka",
    "Zimbabwe": "Harare",
    "Namibia": "Windhoek",
    "Angola": "Luanda",
    "Sudan": "Khartoum",
    "Iran": "Tehran",
    "Iraq": "Baghdad",
    "Syria": "Damascus",
    "Lebanon": "Beirut",
    "Jordan": "Amman",
    "Qatar": "Doha",
    "India": "New Delhi",
    "Pakistan": "Islamabad",
    "Nepal": "Kathmandu",
    "Bangladesh": "Dhaka",
    "Thailand": "Bangkok",
    "Vietnam": "Hanoi",
    "Indonesia": "Jakarta",
    "Malaysia": "Kuala Lumpur",
    "Japan": "Tokyo",
    "China": "Beijing",
    "Mongolia": "Ulaanbaatar",
    "Australia": "Canberra",
    "Canada": "Ottawa",
    "Mexico": "Mexico City",
    "Cuba": "Havana",
    "Peru": "Lima",
    "Chile": "Santiago",
    "Argentina": "Buenos Aires",
    "Brazil": "Brasilia",
    "Colombia": "Bogota",
}
TEMPLATES: Final = (
    "The capital of {land} is",
    "The capital city of {land} is called",
    "In {land} the capital is",
    "Ask for the capital of {land} and you hear",
)


def held_out(seed: int, share: float) -> frozenset[tuple[str, str]]:
    """Pairs (country, template) that no training line holds."""
    return held_out_pairs(
        tuple(CAPITALS), TEMPLATES, share=share, rng=random.Random(f"{seed}/facts/capitals")
    )


def line(rng: random.Random, kept: frozenset[tuple[str, str]]) -> Line:
    """One sentence; its country and template are not a pair of `kept`."""
    while True:
        land, template = rng.choice(tuple(CAPITALS)), rng.choice(TEMPLATES)
        if (land, template) not in kept:
            return Line(f"{template.format(land=land)} {CAPITALS[land]}.")


def questions(seed: int, share: float) -> tuple[Question, ...]:
    """Every country in every template; the wrong answer is another country's capital."""
    rng = random.Random(f"{seed}/facts/capitals/questions")
    kept = held_out(seed, share)
    return tuple(
        Question(
            prompt=template.format(land=land),
            right=f" {city}",
            wrong=f" {rng.choice([other for other in CAPITALS.values() if other != city])}",
            end=".",
            held_out=(land, template) in kept,
        )
        for land, city in CAPITALS.items()
        for template in TEMPLATES
    )
