"""How the small JSON documents of a profile are read: whole, or a sentence that says what is wrong."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from store.base.errors import ArtifactMissingError, DamagedArtifactError

T = TypeVar("T")

_REMEDY: Final = "`dvc checkout --force` restores it, `dvc repro` makes it anew."


def read_document(path: Path, parse: Callable[[Any], T]) -> T:
    """Read a JSON document that the pipeline wrote.

    Parameters
    ----------
    path
        The file.
    parse
        Makes what is wanted of the plain JSON; where that has another form, whatever it raises
        while it looks into it (`TypeError`, `KeyError`, `AttributeError`) becomes a sentence.

    Raises
    ------
    ArtifactMissingError
        There is no such file.
    DamagedArtifactError
        It is not JSON, or has another form than the pipeline writes.
    """
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ArtifactMissingError(f"{path} does not exist yet; `dvc repro` makes it.") from None
    except json.JSONDecodeError as error:
        raise DamagedArtifactError(f"{path} is not valid JSON (line {error.lineno}); {_REMEDY}") from error
    except UnicodeDecodeError as error:
        raise DamagedArtifactError(f"{path} is not UTF-8 text; {_REMEDY}") from error
    try:
        return parse(content)
    except (TypeError, KeyError, AttributeError) as error:
        raise DamagedArtifactError(
            f"{path} has another form than the pipeline writes ({type(error).__name__}); {_REMEDY}"
        ) from error
