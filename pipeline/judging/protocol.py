"""What every judge is to a stage."""

from collections.abc import Generator, Sequence
from typing import Protocol

from pipeline.judging.cases import Case
from pipeline.judging.journal import Usage
from store.documents.verdicts import Verdict


class Judge(Protocol):
    """First `prepare`, for every judge of a profile; then `verdicts`, one judge after the other."""

    def prepare(self, cases: Sequence[Case]) -> None:
        """Say what it will take, before a model is loaded or a call is made.

        Raises
        ------
        UserError
            It cannot be done: a key is missing, a limit would be passed, a folder is not there.
        """

    def verdicts(self) -> Generator[Verdict]:
        """A verdict for each case, as they arrive.

        Raises
        ------
        UserError
            It cannot go on. What was answered is kept.
        """

    def usage(self) -> Usage:
        """What the answers that it gave have taken, in this run and before."""

    def cost(self) -> float:
        """What that has cost, at the prices of ``params.yaml``."""
