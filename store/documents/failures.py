"""``failures/<stage>.json``: prompts that a stage could not work on, and where it went wrong."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from store.base.atomic import write_text
from store.base.errors import ArtifactMissingError, DamagedArtifactError, UnknownFormatError

FAILURES_VERSION: Final = 1


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A prompt that could not be computed in some variants.

    Attributes
    ----------
    prompt_hash, variants
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


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")

    format_version: int
    failures: tuple[Failure, ...]


def write_failures(path: Path, failures: Sequence[Failure]) -> None:
    """Write the document, sorted by prompt and variants; byte-stable."""
    rows = [asdict(each) for each in sorted(failures, key=lambda each: (each.prompt_hash, each.variants))]
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
    try:
        document = _Document.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise ArtifactMissingError(f"{path} does not exist yet; `dvc repro` makes it.") from error
    except ValidationError as error:
        raise DamagedArtifactError(
            f"{path} is damaged ({error.errors()[0]['msg']}); `dvc checkout --force` restores it, "
            "`dvc repro` makes it anew."
        ) from error
    if document.format_version != FAILURES_VERSION:
        raise UnknownFormatError(f"{path} is of another format version; run `dvc repro` to make it anew.")
    return document.failures
