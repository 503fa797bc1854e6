"""What a person says of tokens, prompts and features: events that are added and never changed."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal
from uuid import uuid4

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

TOOL_VERSION: Final = "0.1.0"
"""Of this project, as ``pyproject.toml`` has it."""

EventId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
MAX_NAME: Final = 200
"""Characters of a feature's name."""

PromptHash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}$")]
Author = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f]+$")]
Text = Annotated[str, StringConstraints(max_length=10_000)]
Place = Annotated[int, Field(ge=0, lt=2**31)]


class Event(BaseModel):
    """What all events have.

    Attributes
    ----------
    id
        Unique; other events name it.
    time
        When it was written. Told to people; order never follows it, for clocks of two machines differ.
    author
        Whose it is.
    state
        A draft counts for nothing until an event that is submitted replaces it.
    comment
        Free text: why, or, of a feature, a note.
    replaces
        Earlier events of this author that it stands for from now on.
    tool
        Version of this project that wrote it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: EventId
    time: AwareDatetime
    author: Author
    state: Literal["draft", "submitted"]
    comment: Text = ""
    replaces: tuple[EventId, ...] = ()
    tool: Annotated[str, StringConstraints(max_length=100)]


class TokenEvent(Event):
    """A label of one token on one prompt, whichever variant gave it.

    Attributes
    ----------
    token, text
        Token id, and its text, which holds under another tokenizer, too.
    tokenizer
        Fingerprint of the tokenizer that the id is of.
    label
        None takes an earlier label back.
    shown
        Whose labels the person saw beside the candidates: judges by name, or the lexicon; empty: blind.
    stratum, probability
        Where the prompt was drawn for labelling: the stratum, and the probability of that draw.
    """

    kind: Literal["token"]
    prompt_hash: PromptHash
    token: Place
    text: Text
    tokenizer: Annotated[str, StringConstraints(max_length=200)]
    label: Literal["evil", "safe", "unsure"] | None
    shown: tuple[str, ...] = ()
    stratum: str | None = None
    probability: Annotated[float, Field(gt=0, le=1)] | None = None


class RejectionEvent(Event):
    """Whether a prompt is unfit to be ranked on; the comment says why."""

    kind: Literal["rejection"]
    prompt_hash: PromptHash
    rejected: bool


class FeatureEvent(Event):
    """A feature's name, or without one a note.

    Attributes
    ----------
    transcoders
        Fingerprint of the transcoders that the feature is of.
    name
        None: only the comment is said.
    """

    kind: Literal["feature"]
    layer: Place
    feature: Place
    transcoders: Annotated[str, StringConstraints(max_length=200)]
    name: Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME)] | None


AnyEvent = Annotated[TokenEvent | RejectionEvent | FeatureEvent, Field(discriminator="kind")]
EVENTS: Final[TypeAdapter[TokenEvent | RejectionEvent | FeatureEvent]] = TypeAdapter(AnyEvent)


def stamp(author: str) -> dict[str, Any]:
    """Fields that every new event has: a fresh id, the time, its author and the version."""
    return {
        "id": uuid4().hex,
        "time": datetime.now(UTC),
        "author": author,
        "tool": TOOL_VERSION,
    }


def journal_name(author: str) -> str:
    """Name of an author's file, without its ending; authors whose names differ in signs only share one.

    >>> journal_name("Jane O'Neill")
    'jane-o-neill'
    """
    return re.sub(r"[^\w]+", "-", author.casefold()).strip("-") or "author"
