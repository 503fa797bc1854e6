"""``verdicts/<judge>.json``: what a judge says of every candidate token of a prompt."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from store.base.atomic import write_text
from store.documents.reading import read_document
from store.remote.origins import listed

VERDICTS: Final = "verdicts"
"""Folder of a profile's verdicts; one file a judge."""

VERDICTS_VERSION: Final = 1

Status = Literal["judged", "refused", "malformed", "unreachable"]
"""How a judge answered; only the first gives labels (a refusal, or an outage, is none)."""


class TokenVerdict(BaseModel):
    """A candidate token's label, and why in a few words."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    token: Annotated[int, Field(ge=0)]
    label: Literal["evil", "safe", "unsure"]
    reason: str


class Verdict(BaseModel):
    """What one judge says of one prompt.

    Attributes
    ----------
    prompt_hash
        The prompt.
    status
        Whether there are labels.
    tokens
        One for each of the prompt's candidates where it is `judged`, else none.
    fit
        Whether the prompt is fit to be ranked on; None where it is not `judged`.
    rule
        The rule that an unfit prompt breaks; else empty.
    detail
        Where it is not `judged`: what went wrong, in a sentence.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt_hash: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
    status: Status
    tokens: tuple[TokenVerdict, ...] = ()
    fit: bool | None = None
    rule: str = ""
    detail: str = ""


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")

    format_version: int
    verdicts: tuple[Verdict, ...]


def write_verdicts(folder: Path, judge: str, verdicts: Iterable[Verdict]) -> None:
    """Write a judge's document below a profile's folder, sorted by prompt; byte-stable."""
    rows = tuple(sorted(verdicts, key=lambda each: each.prompt_hash))
    document = _Document(format_version=VERDICTS_VERSION, verdicts=rows)
    write_text(folder / VERDICTS / f"{judge}.json", document.model_dump_json(indent=1) + "\n")


def read_verdicts(folder: Path) -> dict[str, dict[str, Verdict]]:
    """Every judge's verdicts by prompt hash, of a profile's folder; judges by name, none: nothing was judged.

    Raises
    ------
    DamagedArtifactError, UnknownFormatError
        As `store.documents.reading.read_document`.
    """
    form = TypeAdapter(_Document)
    return {
        path.stem: {
            each.prompt_hash: each for each in read_document(path, form, version=VERDICTS_VERSION).verdicts
        }
        for path in listed(folder / VERDICTS, ".json")
    }
