"""A judge's answers about features, read and held against what was asked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field

from pipeline.judging.asking import JsonForm, Messages, Request, Respondent
from pipeline.judging.journal import Kept
from pipeline.judging.reading import (
    MalformedAnswerError,
    first_words,
    read_object,
    require_each_once,
)
from pipeline.judging.replies import Reply
from pipeline.naming.cases import FeatureCase, Marked
from pipeline.naming.messages import ACTIVE_SCHEMA, NAME_SCHEMA, WORDS, naming, predicting
from store.base.parsing import one_line
from store.documents.verdicts import Status

_TOKENS_A_NAME: Final = 40
"""A name of six words and what JSON needs."""
_TOKENS_A_CONTEXT: Final = 15
_LONGEST: Final = 100
"""Characters of a name: six words of a language that has spaces."""
_NAME_FORM: Final = JsonForm("name", NAME_SCHEMA)
_ACTIVE_FORM: Final = JsonForm("contexts", ACTIVE_SCHEMA)


class NamingAnswer(Kept):
    """A name, or of each context whether the feature fires there; where it is not `judged`, why neither."""

    status: Status
    name: str = ""
    fires: tuple[bool, ...] = ()
    detail: str = ""

    def redacted(self, clean: Callable[[str], str]) -> Self:
        """With its name redacted."""
        return self.model_copy(update={"name": clean(self.name)})


class _Name(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    name: str


class _Active(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    context: int
    active: bool


class _Contexts(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    contexts: Annotated[list[_Active], Field(max_length=100_000)]


@dataclass(frozen=True, kw_only=True)
class Question:
    """One request, before a respondent says how it is sent.

    Attributes
    ----------
    said
        The conversation.
    form
        Of the reply.
    size
        Tokens that it may take, guessed to the high side.
    read
        From what was written to an answer; raises `MalformedAnswerError`.
    """

    said: Messages
    form: JsonForm
    size: int
    read: Callable[[str], NamingAnswer]

    def request(self, respondent: Respondent) -> Request[NamingAnswer]:
        """The same, as it is sent."""
        return Request(
            body=respondent.body(self.said, self.form),
            form=NamingAnswer,
            read=self._answer,
            output_tokens=self.size,
        )

    def _answer(self, reply: Reply) -> NamingAnswer:
        return self.read(reply.text)


def name_of(case: FeatureCase) -> Question:
    """The question for a feature's name."""
    return Question(said=naming(case), form=_NAME_FORM, size=_TOKENS_A_NAME, read=parse_name)


def fires_in(name: str, contexts: Sequence[Marked]) -> Question:
    """The question where a feature of that name fires."""
    return Question(
        said=predicting(name, contexts),
        form=_ACTIVE_FORM,
        size=_TOKENS_A_NAME + _TOKENS_A_CONTEXT * len(contexts),
        read=partial(parse_fires, n=len(contexts)),
    )


def parse_name(text: str) -> NamingAnswer:
    """Read a name: one line, cut after six words.

    Raises
    ------
    MalformedAnswerError
        It has another form, or a name that cannot be shown.
    """
    name = first_words(read_object(text, _Name).name, WORDS)
    if not name or not name.isprintable() or len(name) > _LONGEST:
        raise MalformedAnswerError(f"its name is '{one_line(name)}', which cannot be shown")
    return NamingAnswer(status="judged", name=name)


def parse_fires(text: str, n: int) -> NamingAnswer:
    """Read predictions for contexts 1 to `n`, each once.

    Raises
    ------
    MalformedAnswerError
        It has another form, lacks a context, has one twice, or has another.
    """
    said = read_object(text, _Contexts).contexts
    require_each_once(range(1, n + 1), [each.context for each in said], "context")
    by_number = {each.context: each.active for each in said}
    return NamingAnswer(status="judged", fires=tuple(by_number[number] for number in range(1, n + 1)))
