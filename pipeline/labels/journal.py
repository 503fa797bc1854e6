"""``inputs/labels/<author>.jsonl``: events on disk, one a line, added under a lock and never rewritten."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from pipeline.labels.events import EVENTS, Event, journal_name
from store.base.atomic import locked
from store.base.errors import UserError

FOLDER: Final = Path("inputs/labels")
"""Where people's labels lie, which git keeps."""


def read_events(folder: Path = FOLDER) -> list[Event]:
    """Events of every author, file by file.

    A last line that was torn as its writer was killed is left out; `append` sets it aside.

    Raises
    ------
    UserError
        A line is no event, is of another author than its file, or replaces what is not there. It names
        file and line.
    """
    found: list[Event] = []
    for path in sorted(folder.glob("*.jsonl")):
        found += _read(path)
    return found


def append(author: str, events: Sequence[Event], folder: Path = FOLDER) -> None:
    """Add events to an author's journal; they are on the disk when this returns.

    Raises
    ------
    UserError
        An event is of somebody else, or the journal cannot be written.
    """
    if any(event.author != author for event in events):
        raise UserError(f"Only events of {author} go into their journal.")
    path = folder / f"{journal_name(author)}.jsonl"
    content = "".join(f"{event.model_dump_json()}\n" for event in events).encode()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder), path.open("ab+") as file:
            _mend_end(path)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror or error}); nothing was lost.") from error


def _mend_end(path: Path) -> None:
    """Let the file end with a whole line: what was torn goes into a file beside it."""
    content = path.read_bytes()
    whole, newline, last = content.rpartition(b"\n")
    if not last:
        return
    with path.open("r+b") as file:
        if _is_json(last):
            file.seek(0, os.SEEK_END)
            file.write(b"\n")
        else:
            with path.with_suffix(".torn").open("ab") as aside:
                aside.write(last + b"\n")
            file.truncate(len(whole) + len(newline))


def _read(path: Path) -> list[Event]:
    lines = path.read_bytes().split(b"\n")
    if lines and not _is_json(lines[-1]):
        lines.pop()  # nothing, or torn
    events: dict[str, Event] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            event: Event = EVENTS.validate_json(line)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            raise UserError(
                f"{where} is no event of a label ({f'{field}: ' if field else ''}{first['msg']}); mend "
                "the line, or take it out."
            ) from error
        if journal_name(event.author) != path.stem:
            raise UserError(
                f"{where} is by {event.author}, whose journal is {journal_name(event.author)}.jsonl."
            )
        if event.id in events and events[event.id] != event:
            raise UserError(f"{where} has the id of another event, {event.id}; give it one of its own.")
        events[event.id] = event  # a merge may double a line
    for event in events.values():
        for other in event.replaces:
            replaced = events.get(other)
            if replaced is None or type(replaced) is not type(event):
                raise UserError(
                    f"{path}: event {event.id} replaces {other}, which is no event of its kind in this file; "
                    "restore it from git."
                )
    return list(events.values())


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True
