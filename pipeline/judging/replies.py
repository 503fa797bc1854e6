"""What services answer with, read as far as it is needed: compatible ones leave out the rest."""

from dataclasses import dataclass
from typing import Annotated, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.judging.journal import Usage
from pipeline.judging.questions import MalformedAnswerError
from store.base.parsing import one_line

_Amount = Annotated[int, Field(ge=0)]


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One answer of a service.

    Attributes
    ----------
    text
        What the model wrote.
    refusal
        What it, or a filter of the service, said instead; None where it answered.
    cut
        Whether the text ends where the service stopped it.
    model, usage
        As the service names and counts them; None where it does not count.
    """

    text: str
    refusal: str | None
    cut: bool
    model: str
    usage: Usage | None


class _Form(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class _ChatMessage(_Form):
    content: str | None = None
    refusal: str | None = None


class _Choice(_Form):
    message: _ChatMessage
    finish_reason: str | None = None


class _ChatUsage(_Form):
    prompt_tokens: _Amount = 0
    completion_tokens: _Amount = 0


class _Chat(_Form):
    model: str = ""
    choices: Annotated[list[_Choice], Field(min_length=1)]
    usage: _ChatUsage | None = None


class _Part(_Form):
    type: str
    text: str | None = None
    refusal: str | None = None


class _Output(_Form):
    type: str
    content: list[_Part] | None = None


class _Incomplete(_Form):
    reason: str | None = None


class _ResponseUsage(_Form):
    input_tokens: _Amount = 0
    output_tokens: _Amount = 0


class _Response(_Form):
    model: str = ""
    status: str | None = None
    incomplete_details: _Incomplete | None = None
    output: list[_Output]
    usage: _ResponseUsage | None = None


_FILTERED: Final = "content_filter"
_REFUSED: Final = "the service's content filter held the answer back"

Form = TypeVar("Form", bound=_Form)


def read_chat(content: bytes) -> Reply:
    """A chat completion.

    Raises
    ------
    MalformedAnswerError
        It has another form.
    """
    said = _read(content, _Chat)
    choice, used = said.choices[0], said.usage
    refusal = _REFUSED if choice.finish_reason == _FILTERED else choice.message.refusal
    return Reply(
        text=choice.message.content or "",
        refusal=refusal or None,
        cut=choice.finish_reason == "length",
        model=said.model,
        usage=None if used is None else _usage(used.prompt_tokens, used.completion_tokens),
    )


def read_response(content: bytes) -> Reply:
    """A response of the Responses API.

    Raises
    ------
    MalformedAnswerError
        It has another form.
    """
    said = _read(content, _Response)
    used = said.usage
    reason = said.incomplete_details.reason if said.incomplete_details else None
    parts = [part for output in said.output if output.type == "message" for part in output.content or ()]
    refusals = [part.refusal for part in parts if part.refusal]
    return Reply(
        text="".join(part.text or "" for part in parts if part.type == "output_text"),
        refusal=_REFUSED if reason == _FILTERED else next(iter(refusals), None),
        cut=said.status == "incomplete",
        model=said.model,
        usage=None if used is None else _usage(used.input_tokens, used.output_tokens),
    )


def _usage(read: int, written: int) -> Usage:
    return Usage(input_tokens=read, output_tokens=written)


def _read(content: bytes, form: type[Form]) -> Form:
    try:
        return form.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the reply"
        raise MalformedAnswerError(one_line(f"{where}: {first['msg']}")) from error
