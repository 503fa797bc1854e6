"""``judge_answers/<judge>.jsonl``: what was answered, and paid, by the request that was sent.

A line a request. Each is written, and on disk, when its answer is there: who ends a run in any way
loses what is in flight. Nothing that stands here is asked again, whatever becomes of the code. What was
said of whole answers is kept in the same way, in a folder of its own (``score_answers``).
"""

import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Annotated, Any, Final, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from store.base.atomic import write_bytes
from store.base.errors import DamagedArtifactError
from store.base.hashing import digest
from store.base.parsing import one_line

ANSWERS: Final = "judge_answers"
"""Folder of a profile's journals; one file a judge."""

_RAW: Final = 10_000
"""Characters that are kept of an answer that could not be read."""

_Amount = Annotated[int, Field(ge=0)]


class Usage(BaseModel):
    """Calls and tokens, of all attempts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    calls: _Amount = 0
    input_tokens: _Amount = 0
    output_tokens: _Amount = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            calls=self.calls + other.calls,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
        )


class Kept(BaseModel):
    """What is kept of a request: something that was read from its reply, or why there is nothing.

    Attributes
    ----------
    status
        How it was answered; ``refused``, ``malformed`` and ``unreachable`` are what every kind has.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: str

    @classmethod
    def failed(cls, status: str, detail: str) -> Self:
        """Of a request that has no answer, and why."""
        return cls.model_validate({"status": status, "detail": detail})

    def redacted(self, clean: Callable[[str], str]) -> Self:
        """The same, with what a model wrote in it cleaned."""
        return self


K = TypeVar("K", bound=Kept)


class Record(BaseModel, Generic[K]):
    """One line.

    Attributes
    ----------
    key
        Of the request, as `request_key`.
    answer
        What was read, or why there is nothing.
    raw
        The last answer where it could not be read; cut.
    model
        As the service names the one that answered; empty where nothing did.
    usage
        What it took, earlier runs that were not answered included.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    answer: K
    raw: str = ""
    model: str = ""
    usage: Usage


def request_key(body: Mapping[str, Any]) -> str:
    """Key of a request: digest of its body, exactly as it is sent.

    The address it goes to is no part of it: a service that moves is asked nothing again. Who puts
    another model behind the same name gives the judge another name, too.
    """
    return digest(body)


class Journal(Generic[K]):
    """The answers of one judge; `add` may be called by several threads.

    Parameters
    ----------
    path
        The file, which need not be there.
    form
        Of what it keeps.

    Raises
    ------
    DamagedArtifactError
        A line is damaged. (What stands behind the last line break may be torn, and is then left out.)
    """

    def __init__(self, path: Path, form: type[K]) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._file: IO[bytes] | None = None
        self._records = _read(path, form)

    def find(self, key: str) -> Record[K] | None:
        """The answer to a request, whatever its status."""
        return self._records.get(key)

    def add(self, record: Record[K]) -> None:
        """Keep an answer, on disk when this returns; it takes the place of an earlier one."""
        record = record.model_copy(update={"raw": record.raw[:_RAW]})
        with self._lock:
            if self._file is None:
                # A file of its own: what was torn is gone, and no link into DVC's cache is written to.
                write_bytes(self._path, self._content())
                self._file = self._path.open("ab")
            self._file.write(_line(record))
            self._file.flush()
            os.fsync(self._file.fileno())
            self._records[record.key] = record

    def tidy(self) -> None:
        """Close it, and write it anew: a line a key, sorted, the same bytes whoever answered first."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None
            write_bytes(self._path, self._content())

    def _content(self) -> bytes:
        return b"".join(_line(self._records[key]) for key in sorted(self._records))


def _line(record: Record[K]) -> bytes:
    return record.model_dump_json().encode("utf-8") + b"\n"


def _read(path: Path, form: type[K]) -> dict[str, Record[K]]:
    lines = path.read_bytes().split(b"\n") if path.exists() else []
    torn = len(lines) - 1  # what stands behind the last line break
    line_form: type[Record[K]] = Record[form]  # type: ignore[valid-type]  # known only as it runs
    records = {}
    for number, line in enumerate(lines):
        if not line:
            continue
        try:
            record = line_form.model_validate_json(line)
        except ValidationError as error:
            if number == torn:
                continue
            what = one_line(error.errors(include_url=False)[0]["msg"])
            raise DamagedArtifactError(
                f"{path}:{number + 1}: damaged ({what}); delete the line, and what it answered is asked "
                "again."
            ) from error
        records[record.key] = record
    return records
