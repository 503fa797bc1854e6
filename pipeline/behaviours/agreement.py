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
NUMBERS: Final = ("singular", "plural")


class AgreementMaterial(Material):
    """Nouns and verbs, singular to plural; `attractor` is any other noun in either number."""

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
        others = {
            form: number
            for one in material.nouns.items()
            if one[0] != noun
            for number, form in zip(NUMBERS, one, strict=True)
        }
        for template in material.templates:
            wanted = slots(template)
            for adverb in material.adverbs if "adverb" in wanted else [""]:
                for attractor in others if "attractor" in wanted else [""]:
                    singular_verb, plural_verb = tools.rng.choice(verbs)
                    for number, form in zip(NUMBERS, (noun, plural), strict=True):
                        words = {_NOUN: form, "adverb": adverb, "attractor": attractor}
                        prompt, span = fill(template, words, [_NOUN])
                        answers = (singular_verb, plural_verb)
                        right, wrong = answers if number == NUMBERS[0] else answers[::-1]
                        more = {"attractor": attractor, "attractor_number": others.get(attractor, "")}
                        found.append(
                            Draft(
                                prompt=prompt,
                                span=span,
                                correct=f" {right}",
                                incorrect=f" {wrong}",
                                group=noun,
                                template=template,
                                bundle=f"{template}|{noun}|{adverb}|{attractor}",
                                metadata={"number": number, **(more if attractor else {})},
                            )
                        )
    return found


def _decisive(prompt: BehaviourPrompt) -> Spans:
    """The noun; the other one, which stands behind it, could mislead if its number is another.

    An attractor disagrees with the subject (Bock & Miller 1991; Linzen, Dupoux & Goldberg 2016). A second
    noun of the subject's own number is for the right verb, too: it is no rival of the one that decides.
    """
    of = prompt.metadata
    if of.get("attractor_number", of["number"]) == of["number"]:
        return [prompt.span], []
    start = prompt.prompt.rindex(str(of["attractor"]), prompt.span[1])
    return [prompt.span], [(start, start + len(str(of["attractor"])))]


AGREEMENT: Final = Behaviour(
    name="agreement", group="noun", material=AgreementMaterial, drafts=_drafts, decisive=_decisive
)
