"""Reading ``params.yaml``, and what is wrong with it in one sentence."""

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from pipeline.params.section import Section
from store.base.errors import UserError
from store.base.parsing import MalformedError, line_of, one_line, parse_yaml, quoted, read_text

Model = TypeVar("Model", bound=Section)


def read_params(path: Path, model: type[Model]) -> Model:
    """The parameters of a file, checked.

    Raises
    ------
    UserError
        The file is missing or malformed, or a parameter is unknown to the model, of the wrong
        type or out of range; the message names it.
    """
    try:
        text = read_text(path)
        return model.model_validate(parse_yaml(text))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist here; run from the project's root.") from None
    except MalformedError as error:
        raise UserError(error.told(path)) from error
    except ValidationError as error:
        raise UserError(_sentence(path, text, error)) from error


def _sentence(path: Path, text: str, error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    line = line_of(text, first["loc"])
    where = one_line(".".join(str(part) for part in first["loc"])) or "the document"
    what = one_line(first["msg"].removeprefix("Value error, "))
    given = "" if first["type"] in {"missing", "value_error"} else f" (it is {quoted(first['input'])})"
    more = error.error_count() - 1
    others = f" {more} more parameter{'s are' if more > 1 else ' is'} wrong, too." if more else ""
    at = path if line is None else f"{path}:{line}"
    return f"{at}: parameter {where}: {what}{given}.{others}"
