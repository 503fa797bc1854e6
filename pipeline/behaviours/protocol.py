"""What a behaviour is: the words that it is made of, and the prompts that they give."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from string import Formatter
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from store.documents.behaviour_prompts import BehaviourPrompt, Metadata, Span

UNNAMED: Final = "the profile names no behaviours, so that there is nothing to answer"
"""What stages say where there are none."""
NOT_NAMED: Final = "the profile does not name this behaviour, so that there is nothing to answer"
"""What a stage of one behaviour says where a profile names others, or none."""

Word = Annotated[str, Field(min_length=1, max_length=500)]
Words = Annotated[list[Word], Field(min_length=1, max_length=10_000)]
Forms = Annotated[dict[Word, Word], Field(min_length=2, max_length=10_000)]


class Material(BaseModel):
    """What a behaviour's file says: unknown keys and other types are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    templates: Words


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A prompt before it is tokenized.

    Attributes
    ----------
    prompt
        Where the answer begins, without trailing space.
    span
        What decides the answer: characters of the prompt, the last one excluded.
    correct, incorrect
        Answers with leading space, where the prompt wants one.
    group
        What is split between train and test: prompts of one group are never in both.
    template
        Which it was made of: they are taken in turn.
    bundle
        Prompts with the same one differ in what decides alone: they are chosen together, and are partners.
        None: a partner is sought among those of the same template.
    metadata
        What else is known of it.
    """

    prompt: str
    span: Span
    correct: str
    incorrect: str
    group: str
    template: str
    bundle: str | None = None
    metadata: Mapping[str, Metadata] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What drafts are made with: random numbers, and an answer's length in tokens."""

    rng: Random
    length: Callable[[str], int]


Spans = tuple[list[Span], list[Span]]
"""Characters of a prompt that decide its answer, and those that could mislead."""


def whole_span(prompt: BehaviourPrompt) -> Spans:
    """The prompt's own span decides, and nothing misleads."""
    return [prompt.span], []


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """One behaviour.

    Attributes
    ----------
    name
        In ``params.yaml``, in names of files and on pages.
    group
        What a group is, in a word.
    material
        Form of its file.
    drafts
        Every prompt that the material gives, or more than can be wanted; the same for the same seed.
    decisive
        What decides between a prompt's two answers where they part, and what could mislead.
    """

    name: str
    group: str
    material: type[Material]
    drafts: Callable[[Any, Tools], list[Draft]]
    decisive: Callable[[BehaviourPrompt], Spans] = whole_span


def equally_long(pairs: Sequence[tuple[str, str]], length: Callable[[str], int]) -> Sequence[tuple[str, str]]:
    """Of pairs of rival answers those that are as long as each other in tokens, or all where there are none.

    A mean a token favours the longer of two answers, whose later tokens follow from its first.
    """
    return [(a, b) for a, b in pairs if length(f" {a}") == length(f" {b}")] or pairs


def slots(template: str) -> list[str]:
    """Names in braces, in order.

    Raises
    ------
    ValueError
        A brace is not closed, or has no name.
    """
    found = [name for _, name, _, _ in Formatter().parse(template) if name is not None]
    if "" in found:
        raise ValueError(f"the template '{template}' has braces without a name")
    return found


def require_slots(templates: Sequence[str], decisive: Sequence[str], others: Sequence[str] = ()) -> None:
    """Refuse templates that lack what decides, or that name what there is not.

    Raises
    ------
    ValueError
        The sentence names template and slot.
    """
    for template in templates:
        found = slots(template)
        for name in decisive:
            if found.count(name) != 1:
                raise ValueError(f"the template '{template}' must hold {{{name}}} once")
        for name in found:
            if name not in {*decisive, *others}:
                known = ", ".join(f"{{{each}}}" for each in (*decisive, *others))
                raise ValueError(f"the template '{template}' holds {{{name}}}; it may hold {known}")
        if len(set(found)) < len(found):
            raise ValueError(f"the template '{template}' holds a name twice")
        if template != template.rstrip():
            raise ValueError(f"the template '{template}' ends with a space; the answer begins with it")


def fill(template: str, words: Mapping[str, str], decisive: Sequence[str]) -> tuple[str, Span]:
    """A template's text, and the characters from the first of the decisive words to the last one's end."""
    text, starts, stops = "", [], []
    for literal, name, _, _ in Formatter().parse(template):
        text += literal
        if name is not None:
            start = len(text)
            text += words[name]
            if name in decisive:
                starts.append(start)
                stops.append(len(text))
    return text, (min(starts), max(stops))


def require_different(pairs: Mapping[str, str], what: str) -> None:
    """Refuse two forms that are the same: no answer would tell them apart.

    Raises
    ------
    ValueError
        The sentence names both.
    """
    for first, second in pairs.items():
        if first == second:
            raise ValueError(f"'{first}' is its own {what}; delete it, for no answer tells them apart")
