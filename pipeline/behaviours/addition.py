"""Sums of two numbers, against sums that are off in one digit or in its neighbour."""

import re
from typing import Annotated, Final

from pydantic import Field, field_validator

from pipeline.behaviours.protocol import Behaviour, Draft, Material, Spans, Tools, fill, require_slots
from store.documents.behaviour_prompts import BehaviourPrompt, Span

_OPERANDS: Final = ("a", "b")
Number = Annotated[int, Field(ge=0, le=1_000_000)]
Range = Annotated[list[Number], Field(min_length=2, max_length=2)]
_MOST: Final = 2000
"""Pairs of operands that are drawn of: far more than any split wants."""


class AdditionMaterial(Material):
    """Ranges of operands, both ends included; by how much wrong sums are off."""

    ranges: Annotated[list[Range], Field(min_length=1, max_length=100)]
    errors: Annotated[list[Annotated[int, Field(ge=1, le=1000)]], Field(min_length=1, max_length=100)]

    @field_validator("templates")
    @classmethod
    def _has_operands(cls, templates: list[str]) -> list[str]:
        require_slots(templates, _OPERANDS)
        return templates

    @field_validator("ranges")
    @classmethod
    def _rise(cls, ranges: list[list[int]]) -> list[list[int]]:
        for low, high in ranges:
            if low >= high:
                raise ValueError(f"the range {low} to {high} holds no two numbers; write the smaller first")
        return ranges


def _drafts(material: AdditionMaterial, tools: Tools) -> list[Draft]:
    """A draft a pair of operands, from the ranges in turn; order, template and error are drawn."""
    rng, found, used = tools.rng, [], set()
    for turn in range(_MOST):
        low, high = material.ranges[turn % len(material.ranges)]
        a, b = rng.randint(low, high), rng.randint(low, high)
        pair = (min(a, b), max(a, b))
        if pair in used:
            continue
        used.add(pair)
        template = rng.choice(material.templates)
        off = rng.choice(material.errors) * rng.choice((-1, 1))
        off = abs(off) if a + b + off < 0 else off
        prompt, span = fill(template, {"a": str(a), "b": str(b)}, _OPERANDS)
        space = " " if prompt[-1].isalnum() else ""
        found.append(
            Draft(
                prompt=prompt,
                span=span,
                correct=f"{space}{a + b}",
                incorrect=f"{space}{a + b + off}",
                group=f"{pair[0]}+{pair[1]}",
                template=template,
                metadata={"a": a, "b": b, "off": off, "carry": int(a % 10 + b % 10 >= 10)},
            )
        )
    return found


def _decisive(prompt: BehaviourPrompt) -> Spans:
    """Digits of the column in which the answers first differ and of the next lower one, which may carry.

    The other digits could mislead.
    """
    right, wrong = prompt.correct_answer.strip(), prompt.incorrect_answer.strip()
    longest = max(len(right), len(wrong))
    pairs = zip(right.rjust(longest), wrong.rjust(longest), strict=True)
    column = longest - 1 - next(place for place, (a, b) in enumerate(pairs) if a != b)
    decisive: list[Span] = []
    others: list[Span] = []
    for number in re.finditer(r"\d+", prompt.prompt):
        for at in range(*number.span()):
            place = number.end() - 1 - at
            (decisive if place in (column, column - 1) else others).append((at, at + 1))
    return decisive, others


ADDITION: Final = Behaviour(
    name="addition",
    group="pair of operands",
    material=AdditionMaterial,
    drafts=_drafts,
    decisive=_decisive,
)
