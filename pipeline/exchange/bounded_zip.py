"""Members of a zip file of any origin, read within bounds: what is packed small cannot fill the memory."""

import io
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Final

import zstandard

from store.base.errors import UserError
from store.base.parsing import one_line

ZSTANDARD: Final = 93
"""The method that inspect writes; Python reads it from 3.14 on."""
_LARGEST_FILE: Final = 2**31
_LARGEST_MEMBER: Final = 2**26
_WINDOW: Final = 2**27
"""Bytes; more than zstandard's own tools ask for unless told to."""


class BoundedZip:
    """A zip file, open for reading its members: stored, deflated or zstandard.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    FileNotFoundError
        There is none.
    UserError
        It is no zip file, or larger than two gigabytes.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            if path.stat().st_size > _LARGEST_FILE:
                raise UserError(f"{path}: larger than {_LARGEST_FILE:,} bytes; split it.")
            with zipfile.ZipFile(path) as archive:
                self._members = {info.filename: info for info in archive.infolist()}
        except FileNotFoundError:
            raise
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise UserError(f"{path}: not a zip file ({one_line(error)}); write it anew.") from error

    @property
    def names(self) -> list[str]:
        """Names of the members, in the order of the archive."""
        return list(self._members)

    def read(self, name: str) -> bytes:
        """Content of a member.

        Raises
        ------
        UserError
            It is not there, damaged, encrypted, too large, or packed by another method.
        """
        where = f"{self._path}: {one_line(name)}"
        info = self._members.get(name)
        if info is None:
            raise UserError(f"{where} is missing; write the file anew.")
        if info.flag_bits & 1:
            raise UserError(f"{where} is encrypted; write the file anew without a password.")
        try:
            content = self._unpacked(info)
        except (OSError, zlib.error, zstandard.ZstdError, struct.error, MemoryError) as error:
            raise UserError(f"{where} is damaged ({one_line(error)}); write the file anew.") from error
        if content is None:
            raise UserError(f"{where} is packed by method {info.compress_type}; use deflate or zstandard.")
        if len(content) > _LARGEST_MEMBER:
            raise UserError(f"{where} is larger than {_LARGEST_MEMBER:,} bytes; leave it out.")
        if zlib.crc32(content) != info.CRC:
            raise UserError(f"{where} is damaged (its checksum differs); write the file anew.")
        return content

    def _unpacked(self, info: zipfile.ZipInfo) -> bytes | None:
        """At most one byte more than a member may have; None: packed by a method that is not read here."""
        with self._path.open("rb") as file:
            file.seek(info.header_offset)
            name_length, extra_length = struct.unpack("<26xHH", file.read(30))
            file.seek(name_length + extra_length, io.SEEK_CUR)
            packed = file.read(info.compress_size)
        if info.compress_type == zipfile.ZIP_STORED:
            return packed
        if info.compress_type == zipfile.ZIP_DEFLATED:
            return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, _LARGEST_MEMBER + 1)
        if info.compress_type == ZSTANDARD:
            reader = zstandard.ZstdDecompressor(max_window_size=_WINDOW).stream_reader(
                packed, read_across_frames=True
            )
            return reader.read(_LARGEST_MEMBER + 1)
        return None
