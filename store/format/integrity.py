"""Find every damaged file of an artifact, and say which array and which prompts it hits."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from store.base.checksums import FOLDER, altered, find_checksums, missing_files
from store.base.errors import DamagedArtifactError, StoreError
from store.base.hashing import file_digest
from store.collections.writer import INDEX, ragged_dim, ragged_dims
from store.format.arrays import ArrayReader, FileRecord
from store.format.artifact import METADATA, Artifact, is_sealed, open_artifact
from store.schema.registry import COLLECTIONS

_NAMED: Final = 6
"""Prompts that a message names before it counts the rest."""


def verify(path: Path) -> list[str]:
    """Check every file of an artifact against its manifest, and that every chunk decodes.

    Parameters
    ----------
    path
        An artifact, collection or dataset.

    Returns
    -------
    list of str
        One line a damage, naming file, array and prompts; empty if all is well.

    Raises
    ------
    ArtifactMissingError
        There is nothing at `path`.
    ReplacedArtifactError
        It was published anew while it was being checked.
    """
    try:
        artifact = open_artifact(path)
    except DamagedArtifactError as error:
        return [str(error)]
    damage = list(_damage(artifact))
    artifact.ensure_current()
    return damage


def find_artifacts(path: Path) -> list[Path]:
    """The artifacts at or below a path: folders whose ``zarr.json`` says so, sorted.

    A folder that has lost its ``zarr.json`` but holds sealed groups counts, too.
    """
    if _is_artifact(path):
        return [path]
    found: list[Path] = []
    for folder, subfolders, _ in os.walk(path):
        for name in sorted(subfolders):
            if name.startswith("."):  # what a writer is filling, or has replaced
                subfolders.remove(name)
            elif _is_artifact(Path(folder) / name):
                found.append(Path(folder) / name)
                subfolders.remove(name)
    return sorted(found)


@dataclass(frozen=True, kw_only=True)
class FileCheck:
    """What is known of the files that are in no artifact.

    Attributes
    ----------
    checked
        How many are under a checksum.
    damage
        A line for each that is missing or altered.
    loose
        Those under no checksum.
    """

    checked: int
    damage: tuple[str, ...]
    loose: tuple[Path, ...]


def verify_files(path: Path) -> FileCheck:
    """Check weights, documents, metrics and plots at or below a path against their stages' checksums."""
    damage: list[str] = []
    for checksums in find_checksums(path):
        try:
            damage += missing_files(checksums)
        except DamagedArtifactError as error:
            damage.append(str(error))
    checked, loose = len(damage), []
    for file in _plain_files(path):
        try:
            line = altered(file)
        except DamagedArtifactError as error:
            line = f"{file} cannot be checked: {error}"
        if line is None:
            loose.append(file)
            continue
        checked += 1
        damage += [line] if line else []
    return FileCheck(checked=checked, damage=tuple(damage), loose=tuple(loose))


def _plain_files(path: Path) -> list[Path]:
    """Files at or below a path in no artifact, what a writer has not finished left out."""
    if path.is_file():
        return [path] if path.parent.name != FOLDER else []
    artifacts = find_artifacts(path)
    return sorted(
        file
        for file in path.rglob("*")
        if file.is_file()
        and file.parent.name != FOLDER
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
        and not any(file.is_relative_to(artifact) for artifact in artifacts)
    )


def _is_artifact(path: Path) -> bool:
    return (path / METADATA).is_file() or any(map(is_sealed, path.glob(f"*/{METADATA}")))


def _damage(artifact: Artifact) -> Iterator[str]:
    known = {METADATA}
    for group in artifact.groups:
        own = f"{group}/{METADATA}"
        known.add(own)
        prompts = _PromptsOf(artifact, group)
        what = _compare(artifact.path / own, artifact.groups[group])
        if what is not None:
            yield f"{artifact.path / own} {what}: every array{prompts.all()}"
            # Without the group's manifest nothing below it can be told apart.
            known |= {f for f in _files(artifact.path) if f.startswith(f"{group}/")}
            continue
        files = artifact.group_files(group)
        known |= {f"{group}/{name}" for name in files}
        yield from _damaged_files(artifact.path / group, files, prompts)
    for name in sorted(_files(artifact.path) - known):
        yield f"{artifact.path / name} is no part of the artifact; remove it."


def _damaged_files(group: Path, files: Mapping[str, FileRecord], prompts: "_PromptsOf") -> Iterator[str]:
    damaged: set[str] = set()
    for name, record in files.items():
        array = name.split("/")[0]
        what = _compare(group / name, record)
        if what is not None:
            damaged.add(array)
            yield f"{group / name} {what}: array {array}{prompts.of(array, files)}"
    for array in sorted({name.split("/")[0] for name in files} - damaged):
        try:
            ArrayReader(group, array, files).read()
        except DamagedArtifactError as error:
            yield f"{error}{prompts.of(array, files)}"


def _compare(path: Path, record: FileRecord) -> str | None:
    if not path.is_file():
        return "is missing"
    size = path.stat().st_size
    if size < record.bytes:
        return f"is truncated, {size} of {record.bytes} bytes"
    if size != record.bytes or file_digest(path) != record.sha256:
        return "is altered"
    return None


def _files(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() or path.is_symlink()
    }


class _PromptsOf:
    """Says which prompts the arrays of a group belong to, as far as the index can tell."""

    def __init__(self, artifact: Artifact, group: str) -> None:
        self._artifact = artifact
        self._group = group

    def all(self) -> str:
        """Every prompt of the group."""
        return self._words(self._column("prompt_hash"))

    def of(self, array: str, files: Mapping[str, FileRecord]) -> str:
        """Prompts with chunks of an array that do not read; all, where that cannot be told."""
        names = self._column("prompt_hash")
        if names is None or self._artifact.kind not in COLLECTIONS or self._group == INDEX:
            return self._words(names)
        schema = COLLECTIONS[self._artifact.kind].at(self._artifact.version)
        if array not in schema.arrays:
            return self._words(names)
        column = ragged_dims(schema).index(ragged_dim(schema.arrays[array]))
        starts, stops = self._column("start"), self._column("stop")
        if starts is None or stops is None:
            return self._words(names)
        try:
            reader = ArrayReader(self._artifact.path / self._group, array, files, sizes=False)
        except DamagedArtifactError:
            return self._words(names)
        hit = [
            name
            for name, start, stop in zip(names, starts[:, column], stops[:, column], strict=True)
            if stop > start and not _reads(reader, int(start), int(stop))
        ]
        return self._words(np.array(hit, dtype=object) if hit else names)

    def _column(self, name: str) -> np.ndarray | None:
        if self._artifact.kind not in COLLECTIONS:
            return None
        try:
            files = self._artifact.group_files(INDEX)
            folder = self._artifact.path / INDEX
            column = ArrayReader(folder, name, files).read()
            if self._group == INDEX:
                return column
            partition = ArrayReader(folder, "partition", files).read()
        except StoreError:
            return None
        selected: np.ndarray = column[partition == self._group]
        return selected

    def _words(self, names: np.ndarray | None) -> str:
        if self._artifact.kind not in COLLECTIONS:
            return f" of group {self._group}"
        if names is None:
            return f" of prompts whose hash begins with the bits {self._group} (the index is damaged, too)"
        prompts = list(dict.fromkeys(names.tolist()))
        rest = f" and {len(prompts) - _NAMED} more" if len(prompts) > _NAMED else ""
        return f" of prompt{'s' * (len(prompts) != 1)} {', '.join(prompts[:_NAMED])}{rest}"


def _reads(reader: ArrayReader, start: int, stop: int) -> bool:
    try:
        reader.read((slice(start, stop),))
    except DamagedArtifactError:
        return False
    return True
