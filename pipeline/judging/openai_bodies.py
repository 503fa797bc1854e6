"""What is posted to OpenAI's interface, in its two forms.

All of it is part of a request's key: a change here asks everything anew, as one of
`pipeline.judging.messages` does.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pipeline.judging.asking import JsonForm, Messages, Wanted
from pipeline.judging.replies import TOP
from pipeline.params.judges import OpenAIJudge

_CHAT: Final[Mapping[str, dict[str, Any]]] = {
    "token": {"logprobs": True, "top_logprobs": TOP, "max_completion_tokens": 1},
    "token, older": {"logprobs": True, "top_logprobs": TOP, "max_tokens": 1},
    "text": {},
}
_RESPONSES: Final[Mapping[str, dict[str, Any]]] = {
    # It writes no fewer tokens than 16; the first is read.
    "token": {"include": ["message.output_text.logprobs"], "top_logprobs": TOP, "max_output_tokens": 16},
    "text": {},
}


def request_body(params: OpenAIJudge, said: Messages, wanted: Wanted) -> dict[str, Any]:
    """The body of a request for that conversation."""
    chat = params.api == "chat"
    # Nothing is left with the service that nobody will ask for.
    body: dict[str, Any] = {"messages": said} if chat else {"input": said, "store": False}
    seed = params.seed
    if seed is None and chat and not isinstance(wanted, JsonForm):
        seed = 0
    sampling = {"temperature": params.temperature, "seed": seed}
    given = {key: value for key, value in sampling.items() if value is not None}
    return {"model": params.model, **body, **_how(wanted, chat=chat), **given}


def _how(wanted: Wanted, *, chat: bool) -> dict[str, Any]:
    if not isinstance(wanted, JsonForm):
        return (_CHAT if chat else _RESPONSES)[wanted]
    form = {"name": wanted.name, "strict": True, "schema": wanted.schema}
    if chat:
        return {"response_format": {"type": "json_schema", "json_schema": form}}
    return {"text": {"format": {"type": "json_schema", **form}}}


def ways(params: OpenAIJudge) -> Sequence[Wanted]:
    """In which a service may be asked for one number."""
    return ("token", "token, older", "text") if params.api == "chat" else ("token", "text")
