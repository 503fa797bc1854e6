"""A folder of artifacts in object storage: uploaded under a version, then one small pointer is moved.

Below the place lie ``current.json``, the pointer, and for each version ``versions/<version>/files.json``, its
files with size and SHA-256, and ``versions/<version>/files/<name>``. A version is the digest of that
list, so what a killed writer has uploaded is not uploaded again. The pointer is moved when all of the
version is there: a reader has the one or the other, whole.

Times are those of the service, whatever the clocks of writers say: ``versions/<version>/touched`` is put anew
when a version is begun, and when it is about to be replaced.
"""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from store.base.atomic import ASIDE, link, published_folder, snapshot, write_text
from store.base.errors import ArtifactMissingError, DamagedArtifactError, StoreError, UserError
from store.base.hashing import canonical_json, file_digest
from store.base.parsing import one_line
from store.format.arrays import FileRecord
from store.format.artifact import open_artifact
from store.format.integrity import find_artifacts
from store.remote.places import ObjectFiles
from store.remote.versions import (
    POINTER,
    Digest,
    ListedFiles,
    current,
    files_of,
    list_of,
    plain,
    pointer_to,
    version_of,
)

PULLED: Final = ".pulled"
"""In a folder that was pulled: the version that it is, and its files."""
GRACE: Final = timedelta(hours=24)
"""A version that was replaced stays so long, for who reads it."""
_ATTEMPTS: Final = 5
"""Times that a pull begins again because the version that it read was swept."""


class _Pulled(ListedFiles):
    version: Digest


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
        The service refuses, or nothing can be written beside the folder; the version that was current stays
        so.
    """
    if not folder.is_dir() or not _names(folder):
        raise ArtifactMissingError(f"{folder} holds nothing to push; `dvc repro` makes it.")
    try:
        version, files = _upload(folder, place)
    except FileNotFoundError as error:
        raise StoreError(f"{folder} was made anew while it was read; push it when no stage runs.") from error
    except OSError as error:
        raise UserError(
            f"{folder} cannot be pushed ({one_line(str(error))}); a push reads links that it makes "
            "beside the folder, so push a copy that lies where you can write."
        ) from error
    place.write(f"versions/{version}/files.json", list_of(files))
    try:
        before = current(place)
    except DamagedArtifactError:  # it is put anew
        before = None
    if before is not None and before != version:
        place.write(f"versions/{before}/touched", b"")
    place.write(POINTER, pointer_to(version))
    _sweep(place, version, grace)
    return version


def _upload(folder: Path, place: ObjectFiles) -> tuple[str, dict[str, FileRecord]]:
    """Upload what the service lacks of a folder as it is now; gives its version and the list of its files."""
    with snapshot(folder.resolve(), folder.resolve().parent) as taken:
        for artifact in find_artifacts(taken):
            if not open_artifact(artifact).is_whole():
                raise DamagedArtifactError(
                    f"{folder / artifact.relative_to(taken)} is damaged; `python -m store verify {folder}` "
                    "says where."
                )
        files = {name: _record(taken / name) for name in _names(taken)}
        if strange := [name for name in files if set(name) & set("*?[")]:
            raise UserError(f"{folder / strange[0]} has a name that stands for others there; rename it.")
        version = version_of(files)
        below = f"versions/{version}"
        place.write(f"{below}/touched", b"")
        there = place.listed(below).keys()
        lacking = [name for name in files if f"{below}/files/{name}" not in there]
        place.upload({f"{below}/files/{name}": taken / name for name in lacking})
    return version, files


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
        The folder holds something else, or what was made in it, or the service refuses.
    OSError
        This machine does: the disk is full, say.
    """
    held = _held(folder)
    for _ in range(_ATTEMPTS):
        version = current(place)
        if version is None:
            raise ArtifactMissingError(f"Nothing was pushed to {place}; `python -m store push` does.")
        try:
            _pull_version(place, version, folder, held)
        except FileNotFoundError as error:
            if current(place) == version:
                raise DamagedArtifactError(f"{place} lacks a file of its version; push it again.") from error
            continue  # it was replaced, and is swept
        return version
    raise StoreError(f"{place} is pushed anew more often than it can be read; pull it again.")


def _held(folder: Path) -> Mapping[str, FileRecord]:
    """Files of a folder that was pulled, of which none was made or changed since; none of a new folder."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return {}
    try:
        pulled = _Pulled.model_validate_json((folder / PULLED).read_bytes()).files
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValidationError) as error:
        raise UserError(f"{folder} was not pulled and would be replaced; name another folder.") from error
    names = _names(folder)
    for name in names:
        if name not in pulled or not _is(folder / name, pulled[name]):
            raise UserError(
                f"{folder / name} was {'changed' if name in pulled else 'made'} here since it was pulled; "
                "move it away, or pull into another folder."
            )
    return {name: pulled[name] for name in names}


def _pull_version(place: ObjectFiles, version: str, folder: Path, held: Mapping[str, FileRecord]) -> None:
    files = files_of(place, version)
    with published_folder(folder) as filling:
        wanted: dict[str, Path] = {}
        for name, record in files.items():
            target = filling / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if held.get(name) == record:
                link(str(folder / name), str(target))
            else:
                wanted[f"versions/{version}/files/{name}"] = target
        place.download(wanted)
        for target in wanted.values():
            name = target.relative_to(filling).as_posix()
            if not _is(target, files[name]):
                raise DamagedArtifactError(
                    f"{place}/versions/{version}/files/{name} is not what was pushed; remove it there, and "
                    "push again."
                )
        if wanted:
            _held(folder)  # a download takes long: what was made meanwhile stays, too
        write_text(filling / PULLED, canonical_json({"version": version, "files": plain(files)}))


def _sweep(place: ObjectFiles, version: str, grace: timedelta) -> None:
    """Remove versions in which nothing was put for the grace time, but for the current one."""
    times = place.listed()
    now = times[POINTER]
    found: dict[str, list[str]] = {}
    for name in times:
        if name.startswith("versions/"):
            found.setdefault(name.split("/")[1], []).append(name)
    for each, names in found.items():
        if each == version or now - max(times[name] for name in names) <= grace:
            continue
        # Asked again, since another push may have begun it meanwhile, or made it current.
        again = place.listed(f"versions/{each}")
        if not again or now - max(again.values()) <= grace or current(place) == each:
            continue
        # The list goes first: a version that is half removed is none.
        place.remove_all([name for name in again if name.endswith("/files.json")])
        place.remove_all(list(again))


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
