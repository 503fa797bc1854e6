"""The zip archive around a ``.pt``: records as they lie there, never more than the file is long."""

import io
import os
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_AT_ONCE: Final = 2**20
"""Bytes of one read, and so the largest directory; that of a graph has some two thousand."""
_LARGEST_PICKLE: Final = 2**22
"""Bytes; texts and names take them, and each may become a hundred times as long in memory."""
_SHOWN: Final = 80
"""Characters of a file's own words that a message repeats."""
_ZIPFILE_RAISES: Final = (
    zipfile.BadZipFile,
    EOFError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
    struct.error,
)
"""For a damaged archive, one that is encrypted, and one with records where there are none."""


class RefusedError(ValueError):
    """What is wrong with a file, as the rest of a sentence that begins with its name."""


def shown(text: str) -> str:
    """A file's own words for a message: one line, and not long."""
    short = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    return short if short.isprintable() else ascii(short)


class PtArchive:
    """A checked archive: one pickle, and raw records by key.

    Parameters
    ----------
    archive
        The open archive.
    length
        Length of its file, bytes.

    Raises
    ------
    RefusedError
        It is compressed, claims to be longer than it is, or is none of torch's.
    """

    def __init__(self, archive: zipfile.ZipFile, length: int) -> None:
        records = archive.infolist()
        self._archive = archive
        self._records = {record.filename: record for record in records}
        # As torch writes; so nothing unfolds to more than the file is long.
        if any(record.compress_type != zipfile.ZIP_STORED for record in records):
            raise RefusedError("it is compressed, and torch never writes so")
        if sum(record.file_size for record in records) > length:
            raise RefusedError("it claims to hold more than it is long")
        pickles = [name for name in self._records if name.endswith("/data.pkl")]
        if len(pickles) != 1 or len(self._records) != len(records):
            raise RefusedError("it is no archive of torch's, or damaged; copy or download it again")
        self._root = pickles[0].removesuffix("data.pkl")

    def pickle(self) -> bytes:
        """The pickle that names the tensors.

        Raises
        ------
        RefusedError
            It is longer than a graph's, damaged, or of a machine with another byte order.
        """
        order = self._root + "byteorder"  # torch of before 2.1 wrote none
        if order in self._records and self._read(order, len("little")) != b"little":
            raise RefusedError("it was written on a big-endian machine, and this reads little-endian alone")
        return self._read(self._root + "data.pkl", _LARGEST_PICKLE)

    def size(self, key: str) -> int:
        """Bytes of a tensor's record.

        Raises
        ------
        RefusedError
            There is none.
        """
        name = f"{self._root}data/{key}"
        if name not in self._records:
            raise RefusedError("it lacks a tensor's numbers; copy or download it again")
        return self._records[name].file_size

    def fill(self, key: str, into: memoryview) -> None:
        """Read a tensor's record, of exactly `size` bytes.

        Raises
        ------
        RefusedError
            It is damaged.
        """
        self._fill(f"{self._root}data/{key}", into)

    def _read(self, name: str, largest: int) -> bytes:
        size = self._records[name].file_size
        if size > largest:
            raise RefusedError(f"its {name.rsplit('/')[-1]} is longer than that of any graph")
        content = bytearray(size)
        self._fill(name, memoryview(content))
        return bytes(content)

    def _fill(self, name: str, into: memoryview) -> None:
        at = 0
        try:
            with self._archive.open(name) as file:
                # At its end the checksum is compared; torch itself does not look at it.
                while part := file.read(min(_AT_ONCE, len(into) - at)):
                    into[at : at + len(part)] = part
                    at += len(part)
        except _ZIPFILE_RAISES as error:
            raise RefusedError(f"{shown(name)} in it is damaged; copy or download it again") from error
        if at != len(into):
            raise RefusedError(f"{shown(name)} in it is truncated; copy or download it again")


@contextmanager
def open_archive(path: Path) -> Iterator[PtArchive]:
    """Open a file as an archive of torch's; its numbers are read when they are asked for.

    Raises
    ------
    RefusedError
        It is none, or its directory claims what cannot be.
    FileNotFoundError
        There is no such file.
    """
    if path.exists() and not path.is_file():
        raise RefusedError("it is no file")
    with _Sparing(path) as file:
        try:
            archive = zipfile.ZipFile(file)
        except _ZIPFILE_RAISES as error:
            raise RefusedError(
                "it is no archive of torch's, or damaged or truncated; copy or download it again"
            ) from error
        with archive:
            yield PtArchive(archive, path.stat().st_size)


class _Sparing(io.FileIO):
    """A file that gives little at once: a directory of millions of records is never in memory."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            size = os.fstat(self.fileno()).st_size - self.tell()
        if size > _AT_ONCE:
            raise ValueError("a directory of more records than a graph has")
        return super().read(size)
