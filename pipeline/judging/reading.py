"""Reading what a judge wrote: one JSON object, held against what it was asked about."""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from store.base.parsing import MalformedError, one_line, parse_json

F = TypeVar("F", bound=BaseModel)


class MalformedAnswerError(ValueError):
    """An answer that does not say what was asked; the message says what is wrong, without a full stop."""


def read_object(text: str, form: type[F]) -> F:
    """Read the JSON object in what was written.

    What stands around it is left out, since a model without structured output likes to fence it.

    Raises
    ------
    MalformedAnswerError
        There is none, or it has another form.
    """
    start, end = text.find("{"), text.rfind("}")
    if not 0 <= start < end:
        raise MalformedAnswerError("it holds no JSON object")
    try:
        plain: Any = parse_json(text[start : end + 1])
        return form.model_validate(plain)
    except MalformedError as error:
        raise MalformedAnswerError(error.what) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the answer"
        raise MalformedAnswerError(one_line(f"{where}: {first['msg']}")) from error


def require_each_once(asked: Collection[int], found: Sequence[int], what: str) -> None:
    """Check that an answer echoes the numbers that it was asked about: never join by place (trap 11).

    Raises
    ------
    MalformedAnswerError
        It lacks one, has another (`what` it is not), or has one twice.
    """
    counted = Counter(found)
    for says, wrong in (
        ("lacks", [number for number in asked if number not in counted]),
        (f"names what is no {what}:", [number for number in counted if number not in set(asked)]),
        ("repeats", [number for number, n in counted.items() if n > 1]),
    ):
        if wrong:
            raise MalformedAnswerError(f"it {says} {one_line(', '.join(map(str, wrong)))}")


def first_words(text: str, n: int) -> str:
    """A text in one line, cut where it has more words."""
    words = text.split()
    return " ".join(words) if len(words) <= n else " ".join(words[:n]) + " ..."
