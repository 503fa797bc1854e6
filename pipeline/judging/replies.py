"""What services answer with, read as far as it is needed: compatible ones leave out the rest."""

from dataclasses import dataclass
from typing import Annotated, Any, Final, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from pipeline.judging.journal import Usage
from pipeline.judging.reading import MalformedAnswerError
from store.base.parsing import one_line

_Amount = Annotated[int, Field(ge=0)]


TOP: Final = 20
"""Tokens whose probabilities are asked for: the most that OpenAI's interface gives."""


class Likely(NamedTuple):
    """A token's text, and the natural logarithm of its probability."""

    text: str
    log_probability: float


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One answer of a service, or of a model on this machine.

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
    top
        The likeliest first tokens, at most `TOP`, in the order in which they came; None where it gives none,
        or none that can be read.
    """

    text: str
    refusal: str | None
    cut: bool
    model: str
    usage: Usage | None
    top: tuple[Likely, ...] | None = None


class _Form(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class _ChatMessage(_Form):
    content: str | None = None
    refusal: str | None = None


class _Choice(_Form):
    message: _ChatMessage
    finish_reason: str | None = None
    logprobs: Any = None  # read apart: who was not asked for them may answer with anything


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
    logprobs: Any = None


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


class _Token(_Form):
    token: Annotated[str, Field(max_length=1000)]
    # Some services round past 0.
    logprob: Annotated[float, Field(le=1e-3, allow_inf_nan=False)]


class _First(_Form):
    top_logprobs: Annotated[list[_Token], Field(min_length=1, max_length=1000)]


_FIRST: Final = TypeAdapter(_First)

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
        top=_top(choice.logprobs.get("content") if isinstance(choice.logprobs, dict) else None),
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
    texts = [part for part in parts if part.type == "output_text"]
    return Reply(
        text="".join(part.text or "" for part in texts),
        refusal=_REFUSED if reason == _FILTERED else next(iter(refusals), None),
        cut=said.status == "incomplete",
        model=said.model,
        usage=None if used is None else _usage(used.input_tokens, used.output_tokens),
        top=_top(texts[0].logprobs if texts else None),
    )


def _top(tokens: Any) -> tuple[Likely, ...] | None:
    """Of the first of the tokens that were written."""
    if not (isinstance(tokens, list) and tokens):
        return None
    try:
        first = _FIRST.validate_python(tokens[0])
    except ValidationError:
        return None
    return tuple(Likely(each.token, each.logprob) for each in first.top_logprobs[:TOP])


def _usage(read: int, written: int) -> Usage:
    return Usage(input_tokens=read, output_tokens=written)


def _read(content: bytes, form: type[Form]) -> Form:
    try:
        return form.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the reply"
        raise MalformedAnswerError(one_line(f"{where}: {first['msg']}")) from error
