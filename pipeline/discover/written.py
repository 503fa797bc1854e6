"""What a model wrote for a round, kept as it came, and the drafts that are read in it."""

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from pipeline.discover.messages import NO_DOMAIN, parts
from pipeline.judging.journal import Kept
from pipeline.judging.reading import MalformedAnswerError, read_object
from pipeline.judging.replies import Reply
from pipeline.params.discover import Kind
from store.documents.discovery import Draft

_MOST: Final = 1000
"""Prompts of one answer; more are no answer to what was asked."""


class Written(Kept):
    """What one request gave: objects, each a prompt if it has the form of one."""

    status: Literal["written", "refused", "malformed", "unreachable"]
    prompts: tuple[JsonValue, ...] = ()
    detail: str = ""

    def redacted(self, clean: Callable[[str], str]) -> Self:
        """With what was written cleaned."""
        return self.model_copy(update={"prompts": tuple(json.loads(clean(json.dumps(self.prompts))))})


class _Said(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    prompts: Annotated[list[JsonValue], Field(min_length=1, max_length=_MOST)]


def read_written(reply: Reply) -> Written:
    """Read an answer; what each of its prompts is, is read later, and one that is none spoils no other.

    Raises
    ------
    MalformedAnswerError
        It is no object with a list of prompts, or the list is empty.
    """
    return Written(status="written", prompts=tuple(read_object(reply.text, _Said).prompts))


def read_draft(plain: JsonValue, kind: Kind) -> Draft:
    """One prompt of an answer.

    Raises
    ------
    MalformedAnswerError
        It is of another kind, or lacks a part.
    """
    wanted = (*parts(kind), "situation", "domain")
    if not isinstance(plain, Mapping) or set(plain) != set(wanted):
        keys = ", ".join(map(str, plain)) if isinstance(plain, Mapping) else type(plain).__name__
        raise MalformedAnswerError(
            f"a prompt of kind {kind} has {', '.join(wanted)}, this one {keys[:200] or 'nothing'}"
        )
    said: dict[str, Any] = {key: plain[key] for key in wanted}
    for key, value in said.items():
        if not isinstance(value, str) or not value.strip():
            raise MalformedAnswerError(f"its {key} is no text")
    domain = None if said["domain"] == NO_DOMAIN else said["domain"]
    about = {"situation": said["situation"].strip()[:1000], "domain": domain}
    if kind == "text":
        return Draft(prompt=said["text"], **about)
    thought = f"{said['reasoning'].strip()}\n\n" if kind == "reasoning" else ""
    turns = (
        {"role": "user", "content": said["user"]},
        {"role": "assistant", "content": thought + said["assistant"]},
    )
    return Draft(messages=turns, **about)
