"""Files of a behaviour's words, as people wrote them: every mistake is named by file and line."""

from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pipeline.behaviours.protocol import Behaviour, Material
from store.base.errors import UserError
from store.base.parsing import MalformedError, line_of, one_line, parse_yaml, quoted, read_text


def read_material(path: Path, behaviour: Behaviour) -> Material:
    """The words of a behaviour.

    Raises
    ------
    UserError
        The file is missing or malformed, a key is missing, unknown or wrong, a noun has no plural, or two
        answers are the same; the message names file, line and key.
    """
    try:
        text = read_text(path)
        value = parse_yaml(text)
    except FileNotFoundError as error:
        raise UserError(
            f"{path}: no such file of {behaviour.name}; create it or change `behaviours` of the profile in "
            "params.yaml."
        ) from error
    except MalformedError as error:
        raise UserError(error.told(path)) from error
    keys = ", ".join(behaviour.material.model_fields)
    if not isinstance(value, dict):
        raise UserError(f"{path}: not the words of {behaviour.name}; write the keys {keys}.")
    try:
        return behaviour.material.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        line = line_of(text, [part for part in first["loc"] if part != "[key]"])
        at = path if line is None else f"{path}:{line}"
        where = one_line(".".join(str(part) for part in first["loc"]))
        raise UserError(f"{at}: {behaviour.name}: {_said(first, where, keys)}") from error


def _said(first: ErrorDetails, where: str, keys: str) -> str:
    kind, message = first["type"], one_line(str(first["msg"]).removeprefix("Value error, "))
    if kind == "missing":
        return f"'{where}' is missing; the keys are {keys}."
    if kind == "extra_forbidden":
        return f"unknown key '{where}'; the keys are {keys}."
    if kind == "value_error":
        return f"{f'{where}: ' if where else ''}{message}."
    return f"{where}: {message[0].lower()}{message[1:]}, but it is {quoted(first['input'])}."
