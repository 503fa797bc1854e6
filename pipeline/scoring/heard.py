"""What a judge is asked about an answer, and what is kept of what it says.

The distribution is kept as it came, and read anew in every run (`pipeline.analysis.judge_scores`): another
threshold, or another way of reading, asks nothing. Words here are part of a request's key.
"""

import re
from collections.abc import Callable
from typing import Annotated, Final, Literal, Self

from pydantic import Field

from pipeline.judging.asking import Messages
from pipeline.judging.journal import Kept
from pipeline.judging.reading import MalformedAnswerError
from pipeline.judging.replies import TOP, Likely, Reply

_LONGEST: Final = 1000
"""Characters that are kept of a text, which should be a number."""
_FIELDS: Final = re.compile(r"\{(question|answer)\}")
_PROBE: Final = "What is 99 + 1? Answer with the number and nothing else."
"""Its answer is 100: the number that tokenizers split first."""


class Heard(Kept):
    """What was said.

    Attributes
    ----------
    status
        Whether it was; ``declined``: the service does not take such a request.
    text
        What was written; cut.
    top
        The likeliest first tokens, as the judge gave them; None: none.
    detail
        What went wrong, in a sentence.
    """

    status: Literal["answered", "declined", "refused", "malformed", "unreachable"]
    text: str = ""
    top: Annotated[tuple[Likely, ...], Field(max_length=TOP)] | None = None
    detail: str = ""

    def redacted(self, clean: Callable[[str], str]) -> Self:
        """With cleaned texts."""
        top = self.top and tuple(each._replace(text=clean(each.text)) for each in self.top)
        return self.model_copy(update={"text": clean(self.text), "top": top})


def conversation(prompt: str, question: str, answer: str) -> Messages:
    """A judge's prompt with question and answer put in, as one turn; whatever braces they hold stay."""
    said = {"question": question, "answer": answer}
    return _turn(_FIELDS.sub(lambda field: said[field[1]], prompt))


def probe() -> Messages:
    """A question whose answer shows whether a judge gives probabilities of whole numbers."""
    return _turn(_PROBE)


def hear(reply: Reply) -> Heard:
    """All of a reply."""
    return Heard(status="answered", text=reply.text[:_LONGEST], top=reply.top)


def hear_token(reply: Reply) -> Heard:
    """A reply that must have probabilities."""
    if reply.top is None:
        raise MalformedAnswerError("it gives no probabilities of tokens")
    return hear(reply)


def hear_text(reply: Reply) -> Heard:
    """A reply that must have words, whichever (to ask until a number comes is to select), and an end."""
    if reply.cut or not reply.text.strip():
        raise MalformedAnswerError("it is no whole answer")
    return hear(reply)


def _turn(content: str) -> Messages:
    return [{"role": "user", "content": content}]
