"""A judge's answer, read and held against the candidates it was asked about.

Verdicts are joined by the token ids that they echo, and these must be the candidates': never by
their place in a list (trap 11).
"""

from collections.abc import Callable, Collection
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from pipeline.judging.journal import Kept
from pipeline.judging.messages import NO_RULE, RULES, WORDS
from pipeline.judging.reading import (
    MalformedAnswerError,
    first_words,
    read_object,
    require_each_once,
)
from store.base.parsing import one_line
from store.documents.verdicts import Status, TokenVerdict, Verdict


class Answer(Kept):
    """What one request gave: a `store.documents.verdicts.Verdict`, of whichever prompt was asked about."""

    status: Status
    tokens: tuple[TokenVerdict, ...] = ()
    fit: bool | None = None
    rule: str = ""
    detail: str = ""

    def verdict(self, prompt_hash: str) -> Verdict:
        """The same, of a prompt."""
        return Verdict(prompt_hash=prompt_hash, **dict(self))

    def redacted(self, clean: Callable[[str], str]) -> Self:
        """With cleaned reasons."""
        tokens = tuple(each.model_copy(update={"reason": clean(each.reason)}) for each in self.tokens)
        return self.model_copy(update={"tokens": tokens})


class _Labelled(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    token: int
    label: Literal["evil", "safe", "unsure"]
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class _Said(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    fit: bool
    rule: str
    verdicts: Annotated[list[_Labelled], Field(max_length=100_000)]


def parse_answer(text: str, tokens: Collection[int]) -> Answer:
    """Read an answer: verdicts on the candidates, each once, in their order.

    Parameters
    ----------
    text
        What the judge wrote; what stands around the JSON object is left out, since a model without
        structured output likes to fence it. A reason that is too long is cut: its label stands.
    tokens
        Ids of the candidates, in order.

    Raises
    ------
    MalformedAnswerError
        It has another form, lacks a candidate, has one twice, or has another token.
    """
    said = read_object(text, _Said)
    require_each_once(tokens, [each.token for each in said.verdicts], "candidate")
    if said.fit != (said.rule == NO_RULE) or said.rule not in {NO_RULE, *RULES}:
        raise MalformedAnswerError(f"it says fit: {said.fit} and rule: '{one_line(said.rule)}'")
    by_token = {each.token: each for each in said.verdicts}
    return Answer(
        status="judged",
        tokens=tuple(
            TokenVerdict(
                token=token, label=by_token[token].label, reason=first_words(by_token[token].reason, WORDS)
            )
            for token in tokens
        ),
        fit=said.fit,
        rule="" if said.fit else said.rule,
    )
