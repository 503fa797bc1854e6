"""Reading ``params.yaml``, and what is wrong with it in one sentence."""

from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import ValidationError

from pipeline.params.section import Section
from store.base.errors import UserError

Model = TypeVar("Model", bound=Section)


def read_params(path: Path, model: type[Model]) -> Model:
    """The parameters of a file, checked.

    Raises
    ------
    UserError
        The file is missing or malformed, or a parameter is unknown to the model, of the wrong
        type or out of range; the message names it.
    """
    if not path.exists():
        raise UserError(f"{path} does not exist here; run from the project's root.")
    try:
        content: object = yaml.safe_load(path.read_text(encoding="utf-8"))
        return model.model_validate(content)
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not YAML: {' '.join(str(error).split())}.") from error
    except ValidationError as error:
        raise UserError(f"{path}: {_sentence(error)}") from error


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "the document"
    what = first["msg"].removeprefix("Value error, ")
    given = "" if first["type"] in {"missing", "value_error"} else f" (it is {first['input']!r})"
    more = error.error_count() - 1
    others = f" {more} more parameter{'s are' if more > 1 else ' is'} wrong, too." if more else ""
    return f"parameter {where}: {what}{given}.{others}"
