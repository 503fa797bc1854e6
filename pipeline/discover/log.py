"""The records of a discovery on disk: each is there when `add` returns, whatever ends the program then."""

import os
from pathlib import Path
from typing import IO

from store.base.atomic import write_bytes
from store.documents.discovery import Begun, Discovery, Ended, Outcome, gathered, read_records, record_line


class Log:
    """Records that are read once and added to; for the one program that has claimed the folder.

    Parameters
    ----------
    path
        The file, which need not be there; errors as of `store.documents.discovery.read_records`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._records = read_records(path)
        self._file: IO[bytes] | None = None

    @property
    def found(self) -> Discovery:
        """All that they say."""
        return gathered(self._records)

    def add(self, record: Begun | Outcome | Ended) -> None:
        """Add a record."""
        if self._file is None:
            write_bytes(self._path, b"".join(map(record_line, self._records)))  # what was torn is gone
            self._file = self._path.open("ab")
        self._file.write(record_line(record))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._records.append(record)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
