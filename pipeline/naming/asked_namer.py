"""A judge that reads is asked for names, and then what they predict: at most three requests a feature."""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Final

from pipeline.judging.asking import Asking, Request, Respondent
from pipeline.judging.journal import Usage
from pipeline.naming.answers import NamingAnswer, Question, fires_in, name_of
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
        self._respondent = respondent
        self._asking = Asking(name, respondent, path, NamingAnswer, "feature")
        self._naming: list[Request[NamingAnswer]] = []
        self._keys: dict[str, None] = {}

    def prepare(self, cases: Sequence[FeatureCase]) -> None:
        """Find what must be asked; with each name comes a question after it, and one after another's."""
        self._naming = self._requests([name_of(case) for case in cases])
        missing = self._asking.missing(self._naming)
        lacking = {request.key for request in missing}
        nameless = [
            case
            for case, request in zip(cases, self._naming, strict=True)
            if request.key in lacking and case.held_out
        ]
        follow = chain.from_iterable([fires_in(_SOME_NAME, case.held_out)] * 2 for case in nameless)
        later = [question.request(self._respondent) for question in follow]
        self._asking.require([*missing, *later])

    def names(self) -> list[NamingAnswer]:
        """Stored ones, and the others as they arrive."""
        return self._answers(self._naming)

    def predictions(self, claims: Sequence[Claim]) -> list[NamingAnswer]:
        """The same of what names predict."""
        requests = self._requests([fires_in(*claim) for claim in claims])
        self._asking.require(self._asking.missing(requests))
        return self._answers(requests)

    def usage(self) -> Usage:
        """Of the answers to all of its questions."""
        return self._asking.usage(self._keys)

    def cost(self) -> float:
        """Of that."""
        return self._asking.price(self.usage())

    def _requests(self, questions: Sequence[Question]) -> list[Request[NamingAnswer]]:
        requests = [question.request(self._respondent) for question in questions]
        self._keys |= dict.fromkeys(request.key for request in requests)
        return requests

    def _answers(self, requests: Sequence[Request[NamingAnswer]]) -> list[NamingAnswer]:
        for _ in self._asking.ask(self._asking.missing(requests)):
            pass
        found = [self._asking.find(request.key) for request in requests]
        return [answer for answer in found if answer is not None]
