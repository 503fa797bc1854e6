"""What a check found, and whether the profile will fail by it."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How it is."""

    OK = "ok"
    NOTE = "note"
    FAIL = "FAIL"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of the report.

    Attributes
    ----------
    what
        Is looked at.
    verdict
        `NOTE` is what a person should read, and breaks nothing.
    said
        One sentence, or a figure.
    """

    what: str
    verdict: Verdict
    said: str
