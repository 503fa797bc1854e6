"""Lines of text that models are trained on."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """One sequence of the corpus.

    Attributes
    ----------
    text
        The whole of it.
    answers
        Spans of characters (start, end) that count for the loss; none means that all do.
    """

    text: str
    answers: tuple[tuple[int, int], ...] = ()
