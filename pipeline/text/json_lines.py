"""Files of JSON lines that people write: every mistake is named by file and line."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from store.base.errors import UserError
from store.base.parsing import MalformedError, one_line, parse_json, quoted, read_text

Word = Annotated[str, Field(min_length=1)]


class Line(BaseModel):
    """What a line may say; unknown keys and other types are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Message(Line):
    """One turn of a chat."""

    role: Word
    content: Word


Form = TypeVar("Form", bound=Line)


def read_lines(path: Path, form: type[Form], example: str) -> Iterator[tuple[str, Form]]:
    """Lines of a file as their authors wrote them, each with its file and line number.

    Parameters
    ----------
    path
        The file; empty lines are left out.
    form, example
        As for `parse_line`.

    Raises
    ------
    UserError
        The file cannot be read, or as `parse_line`.
    """
    try:
        text = read_text(path)
    except MalformedError as error:
        raise UserError(error.told(path)) from error
    # Not splitlines(): JSON strings may hold U+2028 and its kin as they are.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            place = f"{path}:{number}"
            yield place, parse_line(place, line, form, example)


def parse_line(place: str, line: str, form: type[Form], example: str) -> Form:
    """What one line says.

    Parameters
    ----------
    place
        Where it stands, or would stand, for errors.
    line
        Its text.
    form
        What it may say.
    example
        A line as it should be, for errors.

    Raises
    ------
    UserError
        It says something else.
    """
    try:
        value: Any = parse_json(line, remedy="write one object a line")
    except MalformedError as error:
        raise UserError(f"{place}: {error}.") from error
    if not isinstance(value, dict):
        raise UserError(f"{place}: a {type(value).__name__}, not an object; write {example}.")
    try:
        return form.model_validate(value)
    except ValidationError as error:
        raise UserError(f"{place}: {sentence(error, form)}") from error


def sentence(error: ValidationError, form: type[Line], *, every: str = "line") -> str:
    """What is wrong first, with the way out.

    Parameters
    ----------
    error, form
        What refused the value.
    every
        What it is one of, for a key that is missing.
    """
    first = error.errors(include_url=False)[0]
    # Not rendered from the types: the branches of a union would show in the location.
    where = one_line(".".join(str(part) for part in first["loc"] if part not in {"str", "list"}))
    kind = first["type"]
    if kind == "extra_forbidden":
        known = ", ".join(Message.model_fields if "." in where else form.model_fields)
        return f"unknown key '{where}'; the keys are {known}."
    if kind == "missing":
        needs = "every message needs a role and a content" if "." in where else f"every {every} needs it"
        return f"'{where}' is missing; {needs}."
    if kind in {"string_too_short", "too_short"}:
        return f"'{where}' is empty; fill it in or delete it."
    if kind == "string_unicode":
        return f"'{where}' holds half of a surrogate pair; write the whole character."
    message = one_line(first["msg"].removeprefix("Value error, "))
    if not where:
        return f"{message}."
    return f"'{where}': {message[0].lower()}{message[1:]}, but it is {quoted(first['input'])}."
