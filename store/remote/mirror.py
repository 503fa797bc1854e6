"""A version of a folder in object storage, read through a folder of this machine that fills as it is read.

A published version never changes, so what has come once stays right, and nothing of it is asked for again.
Files of one block come whole, and are held against their digest; of larger ones come blocks, whose chunks
have checksums of their own. The cache's folder is laid out as the place is, with ``versions/<version>/blocks/
<name>.<number>`` beside ``versions/<version>/files``.
"""

import asyncio
import os
import shutil
import time
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from store.base.errors import (
    ArtifactMissingError,
    DamagedArtifactError,
    ReplacedArtifactError,
    StoreError,
    UserError,
)
from store.base.hashing import bytes_digest
from store.format.arrays import FileRecord
from store.remote.folders import FolderFiles
from store.remote.kept import content_of, has, keep, unkept
from store.remote.origins import forget, know, origin_of
from store.remote.places import ObjectFiles
from store.remote.releases import GRACE
from store.remote.versions import current, files_of, list_of

BLOCK: Final = 1 << 20
"""Bytes that come at once of a file that is larger; of two megabytes a second chunks are read for nothing.

As many come ahead of small files: they take about as long as a trip does.
"""
_ATTEMPTS: Final = 5
"""Times that opening begins again because the version that it read was swept."""


class Mirror:
    """One version; an `store.remote.origins.Origin` of its `folder`.

    Its files are read by the readers of folders, `open_collection(mirror.folder / "graphs")` say.
    Several threads and processes may read at once.

    Parameters
    ----------
    place
        Where the version lies.
    version
        Its name.
    files
        What it holds.
    cache
        Folder for what has come; absolute.
    """

    def __init__(
        self, place: ObjectFiles, version: str, files: Mapping[str, FileRecord], cache: Path
    ) -> None:
        self.place = place
        self.version = version
        self.folder = cache / "versions" / version / "files"
        self._blocks = self.folder.with_name("blocks")
        self._files = files
        self._names = sorted(files)
        # Of Zarr's event loop, the only one that asks for parts.
        self._coming: dict[tuple[str, int], asyncio.Task[bytes]] = {}

    def names(self, folder: str) -> list[str]:
        """All files at or below a folder, sorted; '' is the whole."""
        if not folder:
            return self._names
        # "0" is what follows "/".
        first, last = (bisect_left(self._names, f"{folder}{end}") for end in "/0")
        return [folder] * (folder in self._files) + self._names[first:last]

    def size(self, name: str) -> int | None:
        """Bytes of a file; None where there is no such file."""
        return self._files[name].bytes if name in self._files else None

    def bring(self, names: Iterable[str], ahead: Iterable[str] = ()) -> None:
        """Have files whole in the folder; those that lack are asked for at once.

        The smallest of `ahead`, a block in all, come along; what is wrong with one of them, or with asking
        for them, is told when it is read.

        Raises
        ------
        StoreError
            The service refuses, the disk does, or a file is not what was pushed.
        ReplacedArtifactError
            The version was swept.
        """
        wanted = set(self._lacking(names))
        along = [*self._lacking(self._smallest(name for name in ahead if name not in wanted))]
        try:
            self._fetch(wanted, along)
        except StoreError:
            if not along:
                raise
            self._fetch(wanted, [])

    def _fetch(self, wanted: Collection[str], along: Collection[str]) -> None:
        lacking = {self._at(name): name for name in (*sorted(wanted), *along)}
        if not lacking:
            return
        try:
            found = self.place.read_all(list(lacking))
        except UserError as error:
            raise StoreError(str(error)) from error
        for at, name in lacking.items():
            if at in found and self._is(name, found[at]):
                keep(self.folder / name, found[at])
            elif name in wanted:
                raise self._other(name) if at in found else self._gone(name)

    def _lacking(self, names: Iterable[str]) -> Iterator[str]:
        return (
            name
            for name in names
            if name in self._files and not has(self.folder / name, self._files[name].bytes)
        )

    def _smallest(self, names: Iterable[str]) -> Iterator[str]:
        left = BLOCK
        for name in sorted(names, key=lambda name: self._files[name].bytes):
            left -= self._files[name].bytes
            if left < 0:
                return
            yield name

    async def part(self, name: str, start: int, stop: int) -> bytes:
        """Bytes `start` to `stop` of a file that there is, from blocks; errors as of `bring`."""
        if start >= stop:
            return b""
        first, last = start // BLOCK, (stop - 1) // BLOCK
        blocks = await asyncio.gather(*(self._block(name, number) for number in range(first, last + 1)))
        return b"".join(blocks)[start - first * BLOCK : stop - first * BLOCK]

    async def _block(self, name: str, number: int) -> bytes:
        path, start = self._block_path(name, number), number * BLOCK
        size = min(BLOCK, self._files[name].bytes - start)
        if (content := content_of(path, size)) is not None:
            return content
        task = self._coming.get((name, number))
        if task is None:  # else chunks beside each other ask for the same block
            task = asyncio.create_task(self._fetched(name, start, size, path))
            self._coming[name, number] = task
            task.add_done_callback(lambda _: self._coming.pop((name, number)))
        return await task

    async def _fetched(self, name: str, start: int, size: int, path: Path) -> bytes:
        try:
            content = await self.place.part(self._at(name), start, start + size)
        except FileNotFoundError:
            raise self._gone(name) from None
        except UserError as error:
            raise StoreError(str(error)) from error
        if not (self._is(name, content) if size == self._files[name].bytes else len(content) == size):
            raise self._other(name)
        keep(path, content)
        return content

    def doubt(self, names: Iterable[str]) -> None:
        """Drop what has come of files, whole or in blocks; that the disk refuses is told when it is read."""
        for name in names:
            blocks = range(-(-self._files[name].bytes // BLOCK))
            for path in (self.folder / name, *(self._block_path(name, number) for number in blocks)):
                with suppress(OSError):
                    path.unlink()

    def remedy(self, name: str) -> str:
        """To read it again, since it may have been damaged on the way; else to push it again."""
        return f"reload the page; if it is damaged still, remove {self._address(name)}, and push again."

    def _at(self, name: str) -> str:
        return f"versions/{self.version}/files/{name}"

    def _address(self, name: str) -> str:
        return f"{self.place}/{self._at(name)}"

    def _block_path(self, name: str, number: int) -> Path:
        whole = self._files[name].bytes <= BLOCK
        return self.folder / name if whole else self._blocks / f"{name}.{number}"

    def _is(self, name: str, content: bytes) -> bool:
        return bytes_digest(content) == self._files[name].sha256

    def _other(self, name: str) -> DamagedArtifactError:
        where = self._address(name)
        return DamagedArtifactError(f"{where} is not what was pushed; remove it there, and push again.")

    def _gone(self, name: str) -> StoreError:
        try:
            version = current(self.place)
        except UserError as error:
            return StoreError(str(error))
        if version == self.version:
            return DamagedArtifactError(f"{self.place} lacks {name} of its version; push it again.")
        return ReplacedArtifactError(
            f"{self.place} was pushed anew, and {name} of the version that is shown is swept; reload the "
            "page."
        )


def mirrored(place: ObjectFiles, cache: Path) -> Mirror:
    """The version that the pointer names now, open for reading.

    Parameters
    ----------
    place
        Where a folder of artifacts was pushed.
    cache
        Folder for what has come, made if need be; other versions in it that nobody has opened for a day go.

    Raises
    ------
    StoreError
        Nothing was pushed there, its list is damaged, or the service refuses.
    """
    try:
        for _ in range(_ATTEMPTS):
            version = current(place)
            if version is None:
                raise ArtifactMissingError(f"Nothing was pushed to {place}; `python -m store push` does.")
            try:
                mirror = _opened(place, version, cache.absolute())
            except FileNotFoundError as error:
                if current(place) != version:
                    continue
                raise DamagedArtifactError(
                    f"{place} lacks the list of its version; push it again."
                ) from error
            _tidy(mirror.folder.parent)
            return mirror
    except StoreError:  # some are OSErrors, too
        raise
    except UserError as error:
        raise StoreError(str(error)) from error
    except OSError as error:
        raise unkept(cache, error) from error
    raise StoreError(f"{place} is pushed anew more often than it can be read; try again.")


def _opened(place: ObjectFiles, version: str, cache: Path) -> Mirror:
    held = cache / "versions" / version
    known = origin_of(held / "files")
    if known is not None and isinstance(known[0], Mirror):
        return known[0]
    try:
        files = files_of(FolderFiles(cache), version)
    except (FileNotFoundError, DamagedArtifactError):
        files = files_of(place, version)
        keep(held / "files.json", list_of(files))
    mirror = Mirror(place, version, files, cache)
    know(mirror.folder, mirror)
    return mirror


def _tidy(held: Path) -> None:
    """Say that a version was opened now, though its folder was emptied, and let long unopened ones go."""
    held.mkdir(parents=True, exist_ok=True)
    # Other programs tidy the same folder.
    with suppress(FileNotFoundError):
        os.utime(held)
    for other in held.parent.iterdir():
        with suppress(FileNotFoundError):
            if other != held and time.time() - other.stat().st_mtime > GRACE.total_seconds():
                forget(other / "files")
                shutil.rmtree(other, ignore_errors=True)
