"""An artifact's skeleton: a Zarr group of groups, sealed by digests from the root down.

The attributes of each group's ``zarr.json`` hold the size and SHA-256 of every file below
it, the root's hold those of the groups' ``zarr.json`` and a checksum over themselves. The
manifest lives in the attributes because Zarr warns about files that it does not know.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from store.base.errors import (
    ArtifactMissingError,
    DamagedArtifactError,
    InvalidItemError,
    ReplacedArtifactError,
    UnknownFormatError,
)
from store.base.hashing import bytes_digest, digest, file_digest
from store.format.arrays import REMEDY, ArrayReader, FileRecord, Selection, read_together
from store.remote.origins import bring, bring_arrays, bring_named, origin_of, remedy
from store.schema.specs import FORMAT_VERSION

METADATA: Final = "zarr.json"
_TOGETHER: Final = 32
"""Groups of which small arrays come at once: some hundred requests, of two kilobytes each."""


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """An artifact as its root describes it.

    Attributes
    ----------
    path
        Its folder.
    version
        Format version that it was written in.
    kind
        Kind of collection or dataset.
    attributes
        Further attributes of the root, such as counts.
    provenance
        What it was computed from.
    groups
        Size and digest of each group's ``zarr.json``, by group name.
    identity
        Tells this root file from a later one at the same path.
    """

    path: Path
    version: int
    kind: str
    attributes: Mapping[str, Any]
    provenance: Mapping[str, Any]
    groups: Mapping[str, FileRecord]
    identity: tuple[int | str, ...]

    def group_files(self, name: str) -> dict[str, FileRecord]:
        """Read a group's manifest: size and digest of every file below it.

        Raises
        ------
        DamagedArtifactError
            The group's ``zarr.json`` is missing or altered.
        """
        key = f"{name}/{METADATA}"
        bring(self.path / key)
        try:
            content = (self.path / key).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            self.ensure_current()
            raise DamagedArtifactError(
                f"{self.path / key} is missing; {remedy(self.path / key, REMEDY)}"
            ) from None
        if bytes_digest(content) != self.groups[name].sha256:
            self.ensure_current()
            raise DamagedArtifactError(f"{self.path / key} is altered; {remedy(self.path / key, REMEDY)}")
        return _records(json.loads(content)["attributes"]["files"])

    def bring_metadata(self, group: str) -> None:
        """Have the metadata of a group and of all of its arrays come at once, if they come from elsewhere.

        Raises
        ------
        StoreError
            They cannot be had.
        """
        bring_named(self.path / group, METADATA)

    def bring_next(self, group: str, names: Iterable[str]) -> None:
        """Have arrays of a group, and of those beside it, come at once, if they come from elsewhere.

        Who reads one group after the other waits once for `_TOGETHER` of them, if these have a megabyte or
        less; errors as of `bring_metadata`.
        """
        if origin_of(self.path) is not None:
            groups = sorted(self.groups)
            first = groups.index(group) // _TOGETHER * _TOGETHER
            bring_arrays(self.path, groups[first : first + _TOGETHER], [METADATA, *names])

    def is_whole(self) -> bool:
        """Whether every file is there with the size and the digest that the manifest says."""
        try:
            return all(
                _file_record(self.path / group / name) == record
                for group in self.groups
                for name, record in self.group_files(group).items()
            )
        except (DamagedArtifactError, FileNotFoundError, NotADirectoryError):
            return False

    def reader(
        self, group: str, name: str, files: Mapping[str, FileRecord], *, owner: str = ""
    ) -> ArrayReader:
        """Open an array of a group, whose manifest is `files`; see `ArrayReader`.

        Raises
        ------
        DamagedArtifactError
            Its metadata is missing or altered.
        ReplacedArtifactError
            The artifact was published anew since it was opened.
        """
        try:
            return ArrayReader(self.path / group, name, files, owner=owner)
        except DamagedArtifactError:
            # A file may differ because the whole artifact was replaced: that is no damage.
            self.ensure_current()
            raise

    def read(self, requests: Sequence[tuple[ArrayReader, Selection | None]]) -> list[np.ndarray]:
        """Read arrays together; what is returned is of the artifact that was opened.

        Raises
        ------
        DamagedArtifactError
            A chunk is missing, truncated or altered.
        ReplacedArtifactError
            The artifact was published anew since it was opened.
        """
        try:
            values = read_together(requests)
        except DamagedArtifactError:
            self.ensure_current()
            raise
        self.ensure_current()
        return values

    def ensure_current(self) -> None:
        """Check that the folder has not been published anew since it was opened.

        Raises
        ------
        ReplacedArtifactError
            It has: what was read may belong to the old one or the new one.
        """
        try:
            same = _identity(self.path / METADATA) == self.identity
        except (FileNotFoundError, NotADirectoryError):
            same = False
        if not same:
            raise ReplacedArtifactError(
                f"{self.path} was replaced or removed while it was open; open it again."
            )


def seal_group(folder: Path) -> FileRecord:
    """Write the ``zarr.json`` of a group whose arrays are complete; returns its record."""
    folder.mkdir(parents=True, exist_ok=True)
    own = folder / METADATA  # Zarr has made a plain one on the way to the arrays
    files = {
        path.relative_to(folder).as_posix(): asdict(_file_record(path))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != own
    }
    return _write_group(folder, {"files": files})


def seal_root(
    folder: Path,
    *,
    kind: str,
    attributes: Mapping[str, Any],
    provenance: Mapping[str, Any],
    groups: Mapping[str, FileRecord],
) -> None:
    """Write the root's ``zarr.json``: the last file, which makes the artifact complete.

    Raises
    ------
    InvalidItemError
        The provenance is not JSON (a NaN, say).
    """
    content: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "kind": kind,
        **attributes,
        "provenance": dict(provenance),
        "groups": {name: asdict(record) for name, record in sorted(groups.items())},
    }
    try:
        content["checksum"] = digest(content)
    except (ValueError, TypeError) as error:
        raise InvalidItemError(f"provenance of {kind} is not plain JSON: {error}.") from error
    _write_group(folder, content)


def open_artifact(path: Path, *, ahead: str | None = None) -> Artifact:
    """Read the root of an artifact.

    Parameters
    ----------
    path
        Its folder.
    ahead
        A group that is read next: where files come from elsewhere, what is small in it comes with the root.

    Raises
    ------
    ArtifactMissingError
        There is nothing at `path`.
    UnknownFormatError
        Its format version is newer than this code, or no version at all.
    DamagedArtifactError
        The root's ``zarr.json`` was altered.
    """
    root = path / METADATA
    bring(root, ahead=ahead)
    try:
        identity = _identity(root)
        text = root.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        if path.is_dir() and any(path.iterdir()):
            raise DamagedArtifactError(f"{root} is missing; {remedy(root, REMEDY)}") from None
        raise ArtifactMissingError(
            f"{path} does not exist yet; `dvc repro` makes it, `dvc pull` fetches it."
        ) from None
    try:
        attributes = json.loads(text)["attributes"]
        version = attributes["format_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedArtifactError(f"{root} is altered; {remedy(root, REMEDY)}") from error
    if type(version) is not int or not 1 <= version <= FORMAT_VERSION:
        raise UnknownFormatError(
            f"{path} has format version {version}, this code reads 1 to {FORMAT_VERSION}; run "
            "`dvc repro` to make it anew, or check out the commit that wrote it."
        )
    as_written = _encode(attributes)
    checksum = attributes.pop("checksum", None)
    if checksum != digest(attributes) or text != as_written:
        raise DamagedArtifactError(f"{root} is altered; {remedy(root, REMEDY)}")
    known = {"format_version", "kind", "provenance", "groups"}
    return Artifact(
        path=path,
        version=version,
        kind=attributes["kind"],
        attributes={key: value for key, value in attributes.items() if key not in known},
        provenance=attributes["provenance"],
        groups=_records(attributes["groups"]),
        identity=identity,
    )


def is_sealed(metadata: Path) -> bool:
    """Whether a ``zarr.json`` is that of a group inside an artifact."""
    try:
        return "files" in json.loads(metadata.read_bytes())["attributes"]
    except (ValueError, KeyError, TypeError):
        return False


def _write_group(folder: Path, attributes: Mapping[str, Any]) -> FileRecord:
    content = _encode(attributes)
    (folder / METADATA).write_bytes(content)
    return FileRecord(bytes=len(content), sha256=bytes_digest(content))


def _encode(attributes: Mapping[str, Any]) -> bytes:
    document = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
    return json.dumps(document, indent=1, sort_keys=True, allow_nan=False).encode("ascii") + b"\n"


def _records(files: Mapping[str, Any]) -> dict[str, FileRecord]:
    return {name: FileRecord(**record) for name, record in files.items()}


def _identity(path: Path) -> tuple[int | str, ...]:
    if (found := origin_of(path)) is not None:
        return (found[0].version,)  # its file here may go and come again
    status = path.stat()
    return status.st_dev, status.st_ino, status.st_mtime_ns


def _file_record(path: Path) -> FileRecord:
    return FileRecord(bytes=path.stat().st_size, sha256=file_digest(path))
