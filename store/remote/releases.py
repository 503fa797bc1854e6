"""A folder of artifacts in object storage: uploaded under a version, then one small pointer is moved.

Below the place lie ``current.json``, the pointer, and for each version ``versions/<version>/files.json``, its
files with size and SHA-256, and ``versions/<version>/files/<name>``. A version is the digest of that
list, so what a killed writer has uploaded is not uploaded again. The pointer is moved when all of the
version is there: a reader has the one or the other, whole.

Times are those of the service, whatever the clocks of writers say: ``versions/<version>/touched`` is put anew
when a version is begun, and when it is about to be replaced.
"""

import os
from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from store.base.atomic import ASIDE, published_folder, snapshot, write_text
from store.base.errors import ArtifactMissingError, DamagedArtifactError, StoreError, UserError
from store.base.hashing import canonical_json, digest, file_digest
from store.format.arrays import FileRecord
from store.format.artifact import open_artifact
from store.format.integrity import find_artifacts
from store.remote.places import ObjectFiles

POINTER: Final = "current.json"
PULLED: Final = ".pulled"
"""In a folder that was pulled: the version that it is."""
GRACE: Final = timedelta(hours=24)
"""A version that was replaced stays so long, for who reads it."""
_VERSION: Final = 1
_ATTEMPTS: Final = 5
"""Times that a pull begins again because the version that it read was swept."""

_Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Pointer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    format_version: int
    version: _Digest


class _Files(BaseModel):
    model_config = ConfigDict(extra="forbid")

    # Nothing outside of the folder.
    files: dict[Annotated[str, Field(pattern=r"^[^/.][^/]*(/[^/.][^/]*)*$")], FileRecord]


def push(folder: Path, place: ObjectFiles, *, grace: timedelta = GRACE) -> str:
    """Upload a folder of artifacts and make it the current version; sweeps versions that are long replaced.

    Parameters
    ----------
    folder
        A profile's folder, or an artifact; hidden files in it are left out.
    place
        Where it goes.
    grace
        A version stays for so long after it was replaced, or left unfinished.

    Returns
    -------
    str
        The version.

    Raises
    ------
    StoreError
        The folder is not there, or an artifact in it is damaged: nothing is uploaded.
    UserError
        The service refuses; the version that was current stays so.
    """
    if not folder.is_dir() or not _names(folder):
        raise ArtifactMissingError(f"{folder} holds nothing to push; `dvc repro` makes it.")
    try:
        version, files = _upload(folder, place)
    except FileNotFoundError as error:
        raise StoreError(f"{folder} was made anew while it was read; push it when no stage runs.") from error
    place.write(f"versions/{version}/files.json", canonical_json({"files": files}).encode())
    before = current(place)
    if before is not None and before != version:
        place.write(f"versions/{before}/touched", b"")
    pointer = {"format_version": _VERSION, "version": version}
    place.write(POINTER, canonical_json(pointer).encode())
    _sweep(place, version, grace)
    return version


def _upload(folder: Path, place: ObjectFiles) -> tuple[str, dict[str, Any]]:
    """Upload what the service lacks of a folder as it is now; gives its version and the list of its files."""
    with snapshot(folder.resolve(), folder.resolve().parent) as taken:
        for artifact in find_artifacts(taken):
            if not open_artifact(artifact).is_whole():
                raise DamagedArtifactError(
                    f"{folder / artifact.relative_to(taken)} is damaged; `python -m store verify {folder}` "
                    "says where."
                )
        files = {name: asdict(_record(taken / name)) for name in _names(taken)}
        if strange := [name for name in files if set(name) & set("*?[")]:
            raise UserError(f"{folder / strange[0]} has a name that stands for others there; rename it.")
        version = digest(files)
        below = f"versions/{version}"
        place.write(f"{below}/touched", b"")
        there = place.listed(below).keys()
        lacking = [name for name in files if f"{below}/files/{name}" not in there]
        place.upload({f"{below}/files/{name}": taken / name for name in lacking})
    return version, files


def current(place: ObjectFiles) -> str | None:
    """The version that the pointer names; None where nothing was pushed.

    Raises
    ------
    DamagedArtifactError
        The pointer is none.
    """
    content = place.read(POINTER)
    if content is None:
        return None
    try:
        pointer = _Pointer.model_validate_json(content)
    except ValidationError as error:
        raise DamagedArtifactError(f"{place}/{POINTER} is damaged; push again.") from error
    if pointer.format_version != _VERSION:
        raise UserError(f"{place} was pushed by a later version of this code; update it.")
    return pointer.version


def pull(place: ObjectFiles, folder: Path) -> str:
    """Make a folder the current version; what of it is the same already is not downloaded.

    Parameters
    ----------
    place
        Where it was pushed.
    folder
        A new folder, or one that was pulled; it is replaced in one step.

    Returns
    -------
    str
        The version.

    Raises
    ------
    StoreError
        Nothing was pushed there, or a file is damaged.
    UserError
        The folder holds something else, or the service refuses.
    """
    if folder.exists() and not (folder / PULLED).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} was not pulled and would be replaced; name another folder.")
    for _ in range(_ATTEMPTS):
        version = current(place)
        if version is None:
            raise ArtifactMissingError(f"Nothing was pushed to {place}; `python -m store push` does.")
        try:
            _pull_version(place, version, folder)
        except FileNotFoundError as error:
            if current(place) == version:
                raise DamagedArtifactError(f"{place} lacks a file of its version; push it again.") from error
            continue  # it was replaced, and is swept
        return version
    raise StoreError(f"{place} is pushed anew more often than it can be read; pull it again.")


def _pull_version(place: ObjectFiles, version: str, folder: Path) -> None:
    files = _files_of(place, version)
    with published_folder(folder) as filling:
        wanted: dict[str, Path] = {}
        for name, record in files.items():
            target = filling / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if _is(folder / name, record):
                os.link(folder / name, target)
            else:
                wanted[f"versions/{version}/files/{name}"] = target
        place.download(wanted)
        for target in wanted.values():
            name = target.relative_to(filling).as_posix()
            if not _is(target, files[name]):
                raise DamagedArtifactError(f"{place}: {name} is not what was pushed; push it again.")
        write_text(filling / PULLED, version)


def _files_of(place: ObjectFiles, version: str) -> Mapping[str, FileRecord]:
    name = f"versions/{version}/files.json"
    content = place.read(name)
    if content is None:
        raise FileNotFoundError(name)
    try:
        files = _Files.model_validate_json(content).files
    except ValidationError as error:
        raise DamagedArtifactError(f"{place}/{name} is damaged; push it again.") from error
    if digest({name: asdict(record) for name, record in files.items()}) != version:
        raise DamagedArtifactError(f"{place}/{name} is damaged; push it again.")
    return files


def _sweep(place: ObjectFiles, version: str, grace: timedelta) -> None:
    """Remove versions in which nothing was put for the grace time, but for the current one."""
    times = place.listed()
    now = times[POINTER]
    found: dict[str, list[str]] = {}
    for name in times:
        if name.startswith("versions/"):
            found.setdefault(name.split("/")[1], []).append(name)
    old = [names for each, names in found.items() if each != version]
    old = [names for names in old if now - max(times[name] for name in names) > grace]
    # Lists go first: a version that is half removed is none.
    for names in old:
        place.remove_all([name for name in names if name.endswith("/files.json")])
    place.remove_all([name for names in old for name in names])


def _names(folder: Path) -> list[str]:
    names = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(
        name.as_posix()
        for name in names
        if not any(p.startswith(".") or p.endswith(ASIDE) for p in name.parts)
    )


def _record(path: Path) -> FileRecord:
    return FileRecord(bytes=path.stat().st_size, sha256=file_digest(path))


def _is(path: Path, record: FileRecord) -> bool:
    return path.is_file() and path.stat().st_size == record.bytes and file_digest(path) == record.sha256
