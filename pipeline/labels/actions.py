"""What a person does on the Labels page, as the browser tells it: numbered, so that nothing is done twice."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

from pipeline.labels.events import Place, PromptHash, Text

Label = Literal["evil", "safe", "unsure"]


class Action(BaseModel):
    """What all have: a number that grows within one browser, and the prompt it is about."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: Annotated[int, Field(ge=1)]
    prompt: PromptHash


class Mark(Action):
    """A token gets a label, or loses it (None)."""

    kind: Literal["mark"]
    token: Place
    label: Label | None


class Submit(Action):
    """Labels are final, as they stand on the screen."""

    kind: Literal["submit"]
    marks: dict[Place, Label]


class Reject(Action):
    """The prompt is unfit, for a reason."""

    kind: Literal["reject"]
    reason: Annotated[Text, StringConstraints(strip_whitespace=True, min_length=1)]


class Reopen(Action):
    """A submission or rejection is undone."""

    kind: Literal["reopen"]


class Explain(Action):
    """Why labels differ from a judge's, by token."""

    kind: Literal["explain"]
    comments: dict[Place, Text]


class Turn(Action):
    """On to the next prompt; `skip`: this one comes again at the end."""

    kind: Literal["skip", "next"]


AnyAction = Annotated[Mark | Submit | Reject | Reopen | Explain | Turn, Field(discriminator="kind")]


class Said(BaseModel):
    """All that a browser did and has not been told to be kept.

    Attributes
    ----------
    session
        One drawing of the page in one browser: its actions are numbered together.
    actions
        In the order in which they were done.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    session: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    actions: tuple[AnyAction, ...]


SAID: Final[TypeAdapter[Said]] = TypeAdapter(Said)
