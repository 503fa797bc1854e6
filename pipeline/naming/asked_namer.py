"""A judge that reads is asked for names, and then what they predict: at most three requests a feature."""

from collections.abc import Sequence
from functools import reduce
from operator import add
from pathlib import Path
from typing import Final

from pipeline.judging.asking import Inquiry, Respondent
from pipeline.judging.journal import Journal, Usage
from pipeline.judging.questions import Question
from pipeline.naming.answers import NamingAnswer, fires_in, name_of
from pipeline.naming.cases import FeatureCase
from pipeline.naming.protocol import Claim

_SOME_NAME: Final = "a name of at most six words"
"""In place of one that is not given yet, where the calls to come are counted."""


class AskedNamer:
    """A namer of the protocol, made of a respondent and a journal.

    Parameters
    ----------
    name
        Of the judge; on the progress bar.
    respondent
        Who is asked.
    path
        The journal's file.
    """

    def __init__(self, name: str, respondent: Respondent, path: Path) -> None:
        self._name = name
        self._respondent = respondent
        self._journal = Journal(path, NamingAnswer)
        self._naming = self._inquiry()
        self._inquiries = [self._naming]
        self._keys: list[str] = []

    def prepare(self, cases: Sequence[FeatureCase]) -> None:
        """Find what must be asked; with each name comes a question after it, and one after another's."""
        follow = [[fires_in(_SOME_NAME, case.held_out)] * 2 if case.held_out else [] for case in cases]
        self._keys = self._naming.prepare([name_of(case) for case in cases], follow)

    def names(self) -> list[NamingAnswer]:
        """Stored ones, and the others as they arrive."""
        return _in_order(self._naming, self._keys)

    def predictions(self, claims: Sequence[Claim]) -> list[NamingAnswer]:
        """The same of what names predict."""
        inquiry = self._inquiry()
        self._inquiries.append(inquiry)
        questions: list[Question[NamingAnswer]] = [fires_in(*claim) for claim in claims]
        return _in_order(inquiry, inquiry.prepare(questions))

    def usage(self) -> Usage:
        """Of the answers to all of its questions."""
        return reduce(add, (inquiry.usage() for inquiry in self._inquiries))

    def cost(self) -> float:
        """Of that."""
        return self._respondent.price(self.usage())

    def _inquiry(self) -> Inquiry[NamingAnswer]:
        return Inquiry(self._name, "feature", self._respondent, self._journal)


def _in_order(inquiry: Inquiry[NamingAnswer], keys: Sequence[str]) -> list[NamingAnswer]:
    found = dict(inquiry.answers())
    return [found[key] for key in keys]
