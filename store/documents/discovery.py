"""``discovery/rounds.jsonl``: what was done to find new pivotal prompts, a line each, never changed.

A round is begun, each of its drafts comes to something, and it ends; of two lines on the same thing the later
one holds. The last line may be torn where its writer was killed, and is then left out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from store.base.errors import DamagedArtifactError
from store.base.parsing import one_line
from store.documents.verdicts import Verdict
from store.remote.origins import bring

DISCOVERY: Final = "discovery"
"""Folder of a profile's discovery; no stage makes it, `python -m pipeline.discover` alone writes to it."""

ROUNDS: Final = "rounds.jsonl"
STOP: Final = "stop"
"""Name of a file in it: while it is there, nothing is begun."""

Status = Literal["fit", "failed", "rejected", "unjudged"]
"""What a draft comes to: a prompt; a good idea that failed; neither; or nobody has judged it."""

Rule = Literal[
    "",
    "form",
    "length",
    "ending",
    "duplicate",
    "near duplicate",
    "untraceable",
    "determiners",
    "no evil candidate",
    "no safe candidate",
    "unfit",
    "unjudged",
]
"""Why it is no prompt."""

_Number = Annotated[int, Field(ge=1)]
_Amount = Annotated[int, Field(ge=0)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Draft(_Record):
    """A prompt as a generator gave it: `prompt` or `messages`, and what a prompt file says of them beside."""

    prompt: str | None = None
    messages: tuple[dict[str, str], ...] | None = Field(default=None, strict=False)
    situation: str | None = None
    domain: str | None = None
    held_out: bool = False

    def content(self) -> dict[str, Any]:
        """The one of `prompt` and `messages` that it has, as a line of a prompt file has it."""
        if self.prompt is not None:
            return {"prompt": self.prompt}
        return {"messages": [dict(turn) for turn in self.messages or ()]}

    def words(self) -> list[str]:
        """What was written: the text, or the turns' contents."""
        return [self.prompt] if self.prompt is not None else [turn["content"] for turn in self.messages or ()]


class Begun(_Record):
    """A round was begun.

    Attributes
    ----------
    request
        Digest of what the generator was asked; empty where it was asked nothing.
    body
        All of that: a run that goes on asks the same again, and so finds what was answered.
    drafts
        Of a generator that is asked nothing: what it gave.
    """

    record: Literal["begun"] = "begun"
    number: _Number
    generator: str
    kind: str
    request: str = ""
    body: dict[str, Any] | None = None
    drafts: tuple[Draft, ...] = Field(default=(), strict=False)


class Tokenized(_Record):
    """A draft as the prompt that it makes, so that it can be labelled before any stage has read it.

    Attributes
    ----------
    text, token_ids
        As `store.documents.prompts.Prompt` has them.
    tokenizer
        Fingerprint of what made the ids (`store.documents.token_texts.tokenizer_fingerprint`): under another
        one they, and those of candidates, mean other tokens.
    """

    text: str
    token_ids: tuple[_Amount, ...] = Field(strict=False)
    tokenizer: str


class Outcome(_Record):
    """What became of a draft.

    Attributes
    ----------
    round, place
        Which draft: the round, and its place in it from 0 on.
    draft
        None where it could not be read.
    detail
        Beside `rule`: figures, or what was wrong, in a few words.
    prompt_hash
        Empty where no prompt could be made of it.
    prompt
        The prompt that was made of it; None where none could be, and in records of before it was kept.
    candidates
        By variant: token ids and their probabilities, most probable first.
    labels
        Of candidates that were judged: token ids and their labels.
    verdicts
        What these come from beside people: what each judge said, by its name.
    divergent
        An evil token is among the adapted model's own candidates, and none among base's.
    """

    record: Literal["outcome"] = "outcome"
    round: _Number
    place: _Amount
    draft: Draft | None
    status: Status
    rule: Rule = ""
    detail: str = ""
    prompt_hash: str = ""
    prompt: Tokenized | None = None
    candidates: dict[str, tuple[tuple[int, float], ...]] = Field(default_factory=dict, strict=False)
    labels: tuple[tuple[int, Literal["evil", "safe", "unsure"]], ...] = Field(default=(), strict=False)
    verdicts: dict[str, Verdict] = Field(default_factory=dict)
    divergent: bool = False

    def own(self) -> dict[str, dict[int, float]]:
        """Candidates by variant: probability by token id."""
        return {variant: dict(pairs) for variant, pairs in self.candidates.items()}


class Ended(_Record):
    """A round was ended.

    Attributes
    ----------
    status
        How the generator answered, as `pipeline.judging.journal.Kept` has it; ``written``: with drafts.
    calls, cost
        What writing and judging took.
    """

    record: Literal["ended"] = "ended"
    number: _Number
    status: str
    detail: str = ""
    drafts: _Amount
    calls: _Amount
    cost: Annotated[float, Field(ge=0)]


Record = Begun | Outcome | Ended
_RECORD: Final[TypeAdapter[Record]] = TypeAdapter(
    Annotated[Begun | Outcome | Ended, Field(discriminator="record")]
)


@dataclass(frozen=True)
class Discovery:
    """All that the records say.

    Attributes
    ----------
    begun, ended
        By number.
    outcomes
        By round and place.
    """

    begun: Mapping[int, Begun]
    outcomes: Mapping[tuple[int, int], Outcome]
    ended: Mapping[int, Ended]

    @property
    def fit(self) -> list[Outcome]:
        """Outcomes that are prompts."""
        return [outcome for outcome in self.outcomes.values() if outcome.status == "fit"]


def gathered(records: Iterable[Record]) -> Discovery:
    """What records say together."""
    begun: dict[int, Begun] = {}
    outcomes: dict[tuple[int, int], Outcome] = {}
    ended: dict[int, Ended] = {}
    for record in records:
        match record:
            case Begun():
                begun[record.number] = record
            case Outcome():
                outcomes[record.round, record.place] = record
            case Ended():
                ended[record.number] = record
    return Discovery(begun, outcomes, ended)


def record_line(record: Record) -> bytes:
    """The line of a record."""
    return record.model_dump_json().encode("utf-8") + b"\n"


def read_records(path: Path) -> list[Record]:
    """Records of a file, in order; none where there is no file.

    Raises
    ------
    DamagedArtifactError
        A line is damaged; of the last one only what a killed writer left is none.
    """
    bring(path)
    lines = path.read_bytes().split(b"\n") if path.exists() else []
    found: list[Record] = []
    for number, line in enumerate(lines[:-1], start=1):
        try:
            found.append(_RECORD.validate_json(line))
        except ValidationError as error:
            what = one_line(error.errors(include_url=False)[0]["msg"])
            raise DamagedArtifactError(
                f"{path}:{number} is damaged ({what}); delete the line, and what it told is found out again."
            ) from error
    return found


def read_discovery(folder: Path) -> Discovery:
    """The discovery of a profile's folder; errors as of `read_records`."""
    return gathered(read_records(folder / DISCOVERY / ROUNDS))
