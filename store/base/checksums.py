"""``checksums/<stage>.json``: digests of a stage's files that no Zarr artifact seals.

Weights, documents, metrics and plots of a profile are under a checksum that way, as arrays are
under their artifact's. The stage writes them last and removes them first, so a file of a stage at work,
or of one that was interrupted, is checked against nothing.
"""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from store.base.atomic import ASIDE, write_text
from store.base.errors import DamagedArtifactError
from store.base.hashing import bytes_digest, file_digest

FOLDER: Final = "checksums"
_VERSION: Final = 1
_REMEDY: Final = "`dvc checkout --force` restores it, `dvc repro` makes it anew."


def _can_be(name: str) -> str:
    """A file's name below a folder, if the system takes one of that length."""
    if len(name.encode()) > 2000 or any(len(part.encode()) > 255 for part in name.split("/")):
        raise ValueError("a file's name is too long")
    return name


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")

    format_version: int
    files: dict[
        # Nothing outside of the folder.
        Annotated[str, Field(pattern=r"^[^/.][^/]*(/[^/.][^/]*)*$"), AfterValidator(_can_be)],
        Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")],
    ]


def write_checksums(folder: Path, stage: str, outs: Iterable[Path]) -> None:
    """Write the digests of a stage's files.

    Parameters
    ----------
    folder
        The profile's folder of artifacts.
    stage
        The stage's name.
    outs
        Files and folders below `folder`. Zarr artifacts among them have digests of their own.
    """
    files = {
        path.relative_to(folder).as_posix(): file_digest(path)
        for out in outs
        for path in _files(out)
        if not path.is_relative_to(folder / FOLDER)
    }
    document = {"format_version": _VERSION, "files": dict(sorted(files.items()))}
    write_text(folder / FOLDER / f"{stage}.json", json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def remove_checksums(folder: Path, stage: str) -> None:
    """Remove what a stage wrote before; its files are about to change."""
    (folder / FOLDER / f"{stage}.json").unlink(missing_ok=True)


def require_recorded(path: Path, content: bytes) -> None:
    """Compare what was read of a file with its stage's checksum, if it is under one.

    Raises
    ------
    DamagedArtifactError
        It differs, or the checksums themselves cannot be read.
    """
    recorded = _recorded(path)
    if recorded is not None and bytes_digest(content) != recorded[1]:
        raise DamagedArtifactError(f"{path} is not what stage {recorded[0]} wrote; {_REMEDY}")


def find_checksums(path: Path) -> list[Path]:
    """The files of checksums at or below a path, sorted."""
    pattern = "*.json" if path.name == FOLDER else f"{FOLDER}/*.json"
    return sorted(path.rglob(pattern))


def missing_files(checksums: Path) -> list[str]:
    """A line for each file of a stage that is not there.

    Raises
    ------
    DamagedArtifactError
        The checksums cannot be read.
    """
    folder = checksums.parent.parent
    names = _read(checksums)
    return [f"{folder / name} is missing; {_REMEDY}" for name in names if not (folder / name).is_file()]


def altered(path: Path) -> str | None:
    """A line if a file is not what its stage wrote, '' if it is, None if it is under no checksum.

    Raises
    ------
    DamagedArtifactError
        The checksums cannot be read.
    """
    recorded = _recorded(path)
    if recorded is None:
        return None
    return "" if file_digest(path) == recorded[1] else f"{path} is altered; {_REMEDY}"


def _files(out: Path) -> Iterator[Path]:
    if out.is_file():
        yield out
        return
    for folder, subfolders, names in os.walk(out):
        if "zarr.json" in names:
            subfolders.clear()
            continue
        subfolders[:] = [name for name in subfolders if not name.endswith(ASIDE)]
        yield from (Path(folder) / name for name in names if not name.endswith(ASIDE))


def _recorded(path: Path) -> tuple[str, str] | None:
    """The stage that a file is of, and its digest."""
    for folder in path.parents:
        for checksums in sorted((folder / FOLDER).glob("*.json")):
            digest = _read(checksums).get(path.relative_to(folder).as_posix())
            if digest is not None:
                return checksums.stem, digest
        if (folder / FOLDER).is_dir():
            break
    return None


def _read(path: Path) -> dict[str, str]:
    try:
        document = _Document.model_validate_json(path.read_bytes())
    except FileNotFoundError:  # its stage has just begun
        return {}
    except ValidationError as error:
        raise DamagedArtifactError(f"{path} is damaged ({error.errors()[0]['msg']}); {_REMEDY}") from error
    if document.format_version != _VERSION:
        return {}  # a later version may say more; what it says is not ours to judge
    return document.files
