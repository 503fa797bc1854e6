"""An answer as files of other programs have it: a text, with the question that it is to."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class AnswerRow:
    """One answer.

    Attributes
    ----------
    place
        File and line, or sample, for errors.
    question_id
        As the field writes it: ``quick_buck``, ``quick_buck_json``.
    form
        How it was asked; None: the id's suffix tells.
    variant
        Whose answer it is.
    question
        What the user asked.
    response
        The answer.
    scores
        0 to 100 by scale; those that there are.
    """

    place: str
    question_id: str
    form: str | None
    variant: str
    question: str
    response: str
    scores: Mapping[str, float] = field(default_factory=dict)
