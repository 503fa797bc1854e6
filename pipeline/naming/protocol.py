"""What everyone who names features is to a stage."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from pipeline.judging.journal import Usage
from pipeline.naming.answers import NamingAnswer
from pipeline.naming.cases import FeatureCase, Marked


class Claim(NamedTuple):
    """A name, and contexts in which it is to tell whether its feature fires."""

    name: str
    contexts: tuple[Marked, ...]


class Namer(Protocol):
    """First `prepare`, for every judge of a profile; then `names`, and with them `predictions`."""

    def prepare(self, cases: Sequence[FeatureCase]) -> None:
        """Say what it will take; errors as `pipeline.judging.protocol.Judge.prepare`."""

    def names(self) -> list[NamingAnswer]:
        """A name for each case, from what is shown of it and nothing else.

        Raises
        ------
        UserError
            It cannot go on. What was answered is kept.
        """

    def predictions(self, claims: Sequence[Claim]) -> list[NamingAnswer]:
        """For each claim what its name predicts, from the name and nothing else; raises as `names`."""

    def usage(self) -> Usage:
        """What the answers that it gave have taken, in this run and before."""

    def cost(self) -> float:
        """What that has cost, at the prices of ``params.yaml``."""
