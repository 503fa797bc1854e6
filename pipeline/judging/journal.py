"""``judge_answers/<judge>.jsonl``: what was answered, and paid, by the request that was sent.

A line a request. Each is written, and on disk, when its answer is there: who ends a run in any way
loses what is in flight. Nothing that stands here is asked again, whatever becomes of the code.
"""

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Annotated, Any, Final, Generic

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, ValidationError

from pipeline.judging.questions import A
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


class Record(BaseModel, Generic[A]):
    """One line; its answer is of the kind that the journal keeps.

    Attributes
    ----------
    key
        Of the request, as `request_key`.
    answer
        What was asked for, or why there is none.
    raw
        The last answer where it could not be read; cut.
    model
        As the service names the one that answered; empty where nothing did.
    usage
        What it took, earlier runs that were not answered included.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    answer: SerializeAsAny[A]
    raw: str = ""
    model: str = ""
    usage: Usage


def request_key(body: Mapping[str, Any]) -> str:
    """Key of a request: digest of its body, exactly as it is sent.

    The address it goes to is no part of it: a service that moves is asked nothing again. Who puts
    another model behind the same name gives the judge another name, too.
    """
    return digest(body)


class Journal(Generic[A]):
    """The answers of one judge to questions of one kind; `add` may be called by several threads.

    Parameters
    ----------
    path
        The file, which need not be there.
    kind
        Of its answers.

    Raises
    ------
    DamagedArtifactError
        A line is damaged. (What stands behind the last line break may be torn, and is then left out.)
    """

    def __init__(self, path: Path, kind: type[A]) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._file: IO[bytes] | None = None
        self._records = _read(path, kind)

    def find(self, key: str) -> Record[A] | None:
        """The answer to a request, whatever its status."""
        return self._records.get(key)

    def add(self, record: Record[A]) -> None:
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


def _line(record: Record[A]) -> bytes:
    return record.model_dump_json().encode("utf-8") + b"\n"


def _read(path: Path, kind: type[A]) -> dict[str, Record[A]]:
    generic: Any = Record
    form: type[Record[A]] = generic[kind]
    lines = path.read_bytes().split(b"\n") if path.exists() else []
    torn = len(lines) - 1  # what stands behind the last line break
    records = {}
    for number, line in enumerate(lines):
        if not line:
            continue
        try:
            record = form.model_validate_json(line)
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
