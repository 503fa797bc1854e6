"""A question on a fact: a prompt with its right answer and a wrong one."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Question:
    """One thing that a model can be asked.

    Attributes
    ----------
    prompt
        Where the answer begins, without trailing space.
    right, wrong
        Answers with leading space, without what follows them.
    end
        What ends an answer in the corpus, so that none is another's beginning; empty if the sentence goes on.
    held_out
        Whether what it asks occurs in no training line.
    """

    prompt: str
    right: str
    wrong: str
    end: str
    held_out: bool
