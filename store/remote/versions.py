"""Versions of a folder of artifacts: the pointer to the current one, and the list of a version's files."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from store.base.errors import DamagedArtifactError, UserError
from store.base.hashing import canonical_json, digest
from store.format.arrays import FileRecord
from store.remote.folders import Files

POINTER: Final = "current.json"
_VERSION: Final = 1

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Format(BaseModel):
    """What a pointer of any version has: the rest is read when this says that it can be."""

    format_version: Annotated[int, Field(ge=_VERSION)]


class _Pointer(_Format):
    model_config = ConfigDict(extra="forbid")

    version: Digest


class ListedFiles(BaseModel):
    """``files.json``: size and SHA-256 of every file, by name below the folder."""

    model_config = ConfigDict(extra="forbid")

    # Nothing outside of the folder.
    files: dict[Annotated[str, Field(pattern=r"^[^/.][^/]*(/[^/.][^/]*)*$")], FileRecord]


def current(place: Files) -> str | None:
    """The version that the pointer names; None where nothing was pushed.

    Raises
    ------
    DamagedArtifactError
        The pointer is none.
    UserError
        It is of a later version of this code.
    """
    content = place.read(POINTER)
    if content is None:
        return None
    try:
        if _Format.model_validate_json(content).format_version != _VERSION:
            raise UserError(f"{place} was pushed by a later version of this code; update it.")
        return _Pointer.model_validate_json(content).version
    except ValidationError as error:
        raise DamagedArtifactError(f"{place}/{POINTER} is damaged; push again.") from error


def pointer_to(version: str) -> bytes:
    """The content of the pointer to a version."""
    return canonical_json({"format_version": _VERSION, "version": version}).encode()


def list_of(files: Mapping[str, FileRecord]) -> bytes:
    """The content of ``files.json``."""
    return canonical_json({"files": plain(files)}).encode()


def plain(files: Mapping[str, FileRecord]) -> dict[str, Any]:
    """The list as JSON knows it."""
    return {name: asdict(record) for name, record in files.items()}


def version_of(files: Mapping[str, FileRecord]) -> str:
    """The version that holds these files."""
    return digest(plain(files))


def files_of(place: Files, version: str) -> Mapping[str, FileRecord]:
    """Files of a version by name.

    Raises
    ------
    FileNotFoundError
        It was swept.
    DamagedArtifactError
        The list is damaged.
    """
    name = f"versions/{version}/files.json"
    content = place.read(name)
    if content is None:
        raise FileNotFoundError(name)
    try:
        files = ListedFiles.model_validate_json(content).files
    except ValidationError as error:
        raise DamagedArtifactError(f"{place}/{name} is damaged; push it again.") from error
    if version_of(files) != version:
        raise DamagedArtifactError(f"{place}/{name} is damaged; push it again.")
    return files
