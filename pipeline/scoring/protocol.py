"""What is scored, and what every judge of answers is to a stage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pipeline.analysis.judge_scores import Scored
from pipeline.judging.journal import Usage
from store.documents.questions import Question


@dataclass(frozen=True, kw_only=True)
class OpenAnswer:
    """One answer to an open question.

    Attributes
    ----------
    question
        The question, in its form.
    variant
        Whose answer.
    index
        Its place in the item of `answers`, 0-based.
    asked, text
        The wording that was asked, and the answer.
    n_tokens
        The answer's length.
    """

    question: Question
    variant: str
    index: int
    asked: str
    text: str
    n_tokens: int


Scores = Mapping[tuple[int, str], Scored]
"""By place in the answers that were given, and scale; a scale that was not asked for is not there."""


class Scorer(Protocol):
    """First `prepare`, for every judge of a profile; then `scores`, one judge after the other."""

    def prepare(self, answers: Sequence[OpenAnswer]) -> None:
        """Say what it will take, before a model is loaded or a call is made.

        Raises
        ------
        UserError
            It cannot be done: a key or a domain is missing, a limit would be passed.
        """

    def scores(self) -> Scores:
        """Score all of them.

        Raises
        ------
        UserError
            It cannot go on. What was answered is kept.
        """

    def method(self) -> str:
        """How it scores: ``rubric``, ``logprobs`` or ``text``."""

    def usage(self) -> Usage:
        """What its answers have taken, in this run and before."""

    def cost(self) -> float:
        """What that has cost, at the prices of ``params.yaml``."""
