"""Grammar: the verb that agrees with its noun, also past another noun that would mislead."""

from typing import Final

from pydantic import field_validator

from pipeline.behaviours.protocol import (
    Behaviour,
    Draft,
    Forms,
    Material,
    Spans,
    Tools,
    Words,
    equally_long,
    fill,
    require_different,
    require_slots,
    slots,
)
from store.documents.behaviour_prompts import BehaviourPrompt

_NOUN: Final = "noun"


class AgreementMaterial(Material):
    """Nouns and verbs, singular to plural; an attractor is any other noun in either number."""

    nouns: Forms
    verbs: Forms
    adverbs: Words

    @field_validator("nouns")
    @classmethod
    def _nouns_differ(cls, nouns: dict[str, str]) -> dict[str, str]:
        require_different(nouns, "plural")
        return nouns

    @field_validator("verbs")
    @classmethod
    def _verbs_differ(cls, verbs: dict[str, str]) -> dict[str, str]:
        require_different(verbs, "plural")
        return verbs

    @field_validator("templates")
    @classmethod
    def _has_a_noun(cls, templates: list[str]) -> list[str]:
        require_slots(templates, [_NOUN], ["adverb", "attractor"])
        return templates


def _drafts(material: AgreementMaterial, tools: Tools) -> list[Draft]:
    found = []
    verbs = equally_long(list(material.verbs.items()), tools.length)
    for noun, plural in material.nouns.items():
        others = [form for one in material.nouns.items() if one[0] != noun for form in one]
        for template in material.templates:
            wanted = slots(template)
            for adverb in material.adverbs if "adverb" in wanted else [""]:
                for attractor in others if "attractor" in wanted else [""]:
                    singular_verb, plural_verb = tools.rng.choice(verbs)
                    for number, form in (("singular", noun), ("plural", plural)):
                        words = {_NOUN: form, "adverb": adverb, "attractor": attractor}
                        prompt, span = fill(template, words, [_NOUN])
                        answers = (singular_verb, plural_verb)
                        right, wrong = answers if number == "singular" else answers[::-1]
                        more = {"attractor": attractor} if attractor else {}
                        found.append(
                            Draft(
                                prompt=prompt,
                                span=span,
                                correct=f" {right}",
                                incorrect=f" {wrong}",
                                group=noun,
                                template=template,
                                bundle=f"{template}|{noun}|{adverb}|{attractor}",
                                metadata={"number": number, **more},
                            )
                        )
    return found


def _decisive(prompt: BehaviourPrompt) -> Spans:
    """The noun, and the other noun, which stands behind it."""
    attractor = str(prompt.metadata.get("attractor", ""))
    start = prompt.prompt.rfind(attractor, prompt.span[1])
    return [prompt.span], [(start, start + len(attractor))] if attractor and start >= 0 else []


AGREEMENT: Final = Behaviour(
    name="agreement", group="noun", material=AgreementMaterial, drafts=_drafts, decisive=_decisive
)
