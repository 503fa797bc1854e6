"""Facts: what belongs to a subject, against what belongs to others."""

from typing import Final

from pydantic import field_validator

from pipeline.behaviours.protocol import Behaviour, Draft, Forms, Material, Tools, fill, require_slots

_SUBJECT: Final = "subject"
DISTRACTORS: Final = 3
"""Wrong answers a subject, taken in turn by its templates."""


class RecallMaterial(Material):
    """Facts, subject to answer, as capitals by country."""

    facts: Forms

    @field_validator("facts")
    @classmethod
    def _leave_distractors(cls, facts: dict[str, str]) -> dict[str, str]:
        if len(set(facts.values())) <= DISTRACTORS:
            raise ValueError(f"a subject needs {DISTRACTORS} wrong answers, of other facts; add facts")
        return facts

    @field_validator("templates")
    @classmethod
    def _has_a_subject(cls, templates: list[str]) -> list[str]:
        require_slots(templates, [_SUBJECT])
        return templates


def distractors(material: RecallMaterial, subject: str, tools: Tools) -> list[str]:
    """Other subjects' answers, those as long in tokens as the right one first."""
    right = material.facts[subject]
    others = sorted(set(material.facts.values()) - {right})
    tools.rng.shuffle(others)
    length = tools.length(f" {right}")
    return sorted(others, key=lambda other: abs(tools.length(f" {other}") - length))[:DISTRACTORS]


def _drafts(material: RecallMaterial, tools: Tools) -> list[Draft]:
    found = []
    for subject, answer in material.facts.items():
        wrong = distractors(material, subject, tools)
        for number, template in enumerate(material.templates):
            prompt, span = fill(template, {_SUBJECT: subject}, [_SUBJECT])
            found.append(
                Draft(
                    prompt=prompt,
                    span=span,
                    correct=f" {answer}",
                    incorrect=f" {wrong[number % DISTRACTORS]}",
                    group=subject,
                    template=template,
                    metadata={"distractors": list(wrong)},
                )
            )
    return found


RECALL: Final = Behaviour(name="recall", group="subject", material=RecallMaterial, drafts=_drafts)
