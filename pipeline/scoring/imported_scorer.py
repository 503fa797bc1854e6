"""The judge whose scores came with the answers: it asks nobody, and is taken at its word."""

from collections.abc import Sequence
from typing import Final

from pipeline.analysis.judge_scores import Scored
from pipeline.judging.journal import Usage
from pipeline.scoring.protocol import OpenAnswer, Scores
from store.documents.imported_scores import Given

IMPORTED: Final = "imported"
"""Its name beside those of ``params.yaml``."""


class ImportedScorer:
    """Gives answers the scores that their files have; of others it says nothing.

    Parameters
    ----------
    given
        The scores.
    """

    def __init__(self, given: Given) -> None:
        self._given = given
        self._answers: Sequence[OpenAnswer] = ()

    def prepare(self, answers: Sequence[OpenAnswer]) -> None:
        """Take the answers."""
        self._answers = answers

    def scores(self) -> Scores:
        """Those that there are: an answer or a scale without one was not asked."""
        found: dict[tuple[int, str], Scored] = {}
        for place, answer in enumerate(self._answers):
            of = self._given.get((answer.question.hash, answer.variant))
            for scale, score in ({} if of is None else of[answer.index]).items():
                found[place, scale] = Scored(status="scored", score=score)
        return found

    def method(self) -> str:
        """A file's."""
        return "imported"

    def usage(self) -> Usage:
        """No calls, no tokens."""
        return Usage()

    def cost(self) -> float:
        """Nothing."""
        return 0.0
