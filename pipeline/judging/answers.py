"""A judge's answer, read and held against the candidates it was asked about.

Verdicts are joined by the token ids that they echo, and these must be the candidates': never by
their place in a list (trap 11).
"""

from collections import Counter
from collections.abc import Callable, Collection
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from pipeline.judging.journal import Kept
from pipeline.judging.messages import NO_RULE, RULES, WORDS
from store.base.parsing import MalformedError, one_line, parse_json
from store.documents.verdicts import Status, TokenVerdict, Verdict


class MalformedAnswerError(ValueError):
    """An answer that gives no verdicts; the message says what is wrong with it, without a full stop."""


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
    said = _said(text)
    found = Counter(each.token for each in said.verdicts)
    for what, wrong in (
        ("lacks", [token for token in tokens if token not in found]),
        ("names what is no candidate:", [token for token in found if token not in set(tokens)]),
        ("repeats", [token for token, n in found.items() if n > 1]),
    ):
        if wrong:
            raise MalformedAnswerError(f"it {what} {one_line(', '.join(map(str, wrong)))}")
    if said.fit != (said.rule == NO_RULE) or said.rule not in {NO_RULE, *RULES}:
        raise MalformedAnswerError(f"it says fit: {said.fit} and rule: '{one_line(said.rule)}'")
    by_token = {each.token: each for each in said.verdicts}
    return Answer(
        status="judged",
        tokens=tuple(
            TokenVerdict(token=token, label=by_token[token].label, reason=_cut(by_token[token].reason))
            for token in tokens
        ),
        fit=said.fit,
        rule="" if said.fit else said.rule,
    )


def _said(text: str) -> _Said:
    start, end = text.find("{"), text.rfind("}")
    if not 0 <= start < end:
        raise MalformedAnswerError("it holds no JSON object")
    try:
        plain: Any = parse_json(text[start : end + 1])
        return _Said.model_validate(plain)
    except MalformedError as error:
        raise MalformedAnswerError(error.what) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the answer"
        raise MalformedAnswerError(one_line(f"{where}: {first['msg']}")) from error


def _cut(reason: str) -> str:
    words = reason.split()
    return " ".join(words) if len(words) <= WORDS else " ".join(words[:WORDS]) + " ..."
