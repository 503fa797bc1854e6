"""A judge's answers about features, read and held against what was asked."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field

from pipeline.judging.questions import (
    Answered,
    MalformedAnswerError,
    Question,
    answer_form,
    first_words,
    read_object,
    require_each_once,
)
from pipeline.naming.cases import FeatureCase, Marked
from pipeline.naming.messages import ACTIVE_SCHEMA, NAME_SCHEMA, WORDS, naming, predicting
from store.base.parsing import one_line
from store.documents.verdicts import Status

_TOKENS_A_NAME: Final = 40
"""A name of six words and what JSON needs."""
_TOKENS_A_CONTEXT: Final = 15
_LONGEST: Final = 100
"""Characters of a name: six words of a language that has spaces."""
_NAME_FORM: Final[dict[str, Any]] = answer_form("name", NAME_SCHEMA)
_ACTIVE_FORM: Final[dict[str, Any]] = answer_form("contexts", ACTIVE_SCHEMA)


class NamingAnswer(Answered):
    """A name, or of each context whether the feature fires there; where it is not `judged`, why neither."""

    name: str = ""
    fires: tuple[bool, ...] = ()
    detail: str = ""

    def redacted(self, redact: Callable[[str], str]) -> Self:
        """With its name redacted."""
        return self.model_copy(update={"name": redact(self.name)})


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


def name_of(case: FeatureCase) -> Question[NamingAnswer]:
    """The question for a feature's name."""
    return Question(
        conversation=naming(case), form=_NAME_FORM, size=_TOKENS_A_NAME, read=parse_name, failed=_failed
    )


def fires_in(name: str, contexts: Sequence[Marked]) -> Question[NamingAnswer]:
    """The question where a feature of that name fires."""
    return Question(
        conversation=predicting(name, contexts),
        form=_ACTIVE_FORM,
        size=_TOKENS_A_NAME + _TOKENS_A_CONTEXT * len(contexts),
        read=partial(parse_fires, n=len(contexts)),
        failed=_failed,
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


def _failed(status: Status, detail: str) -> NamingAnswer:
    return NamingAnswer(status=status, detail=detail)
