"""``failures/<stage>.json``: prompts that a stage could not work on, and where it went wrong."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, TypeAdapter

from store.base.atomic import write_text
from store.collections.item import UNSTEERED
from store.documents.reading import read_document

FAILURES_VERSION: Final = 1


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A prompt that could not be computed in some variants, under some settings.

    Attributes
    ----------
    prompt_hash, variants, settings
        What was to be computed together.
    layer, position
        Where it went wrong, 0-based; None where it is no matter of one place.
    token
        Token id at the position.
    reason
        One sentence.
    """

    prompt_hash: str
    variants: tuple[str, ...]
    layer: int | None
    position: int | None
    token: int | None
    reason: str
    settings: tuple[str, ...] = (UNSTEERED,)


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")

    format_version: int
    failures: tuple[Failure, ...]


def _place(failure: Failure) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    return failure.prompt_hash, failure.variants, failure.settings


def write_failures(path: Path, failures: Sequence[Failure]) -> None:
    """Write the document, sorted by prompt, variants and settings; byte-stable."""
    rows = [asdict(each) for each in sorted(failures, key=_place)]
    document = {"format_version": FAILURES_VERSION, "failures": rows}
    write_text(path, json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def read_failures(path: Path) -> tuple[Failure, ...]:
    """Read the document.

    Raises
    ------
    ArtifactMissingError
        There is no such file.
    DamagedArtifactError
        It is not of the form that `write_failures` writes.
    UnknownFormatError
        It has another version of the layout.
    """
    return read_document(path, TypeAdapter(_Document), version=FAILURES_VERSION).failures
