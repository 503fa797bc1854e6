"""Who labels: ``EMC_AUTHOR``, or the name that git knows."""

import os
import subprocess

from pydantic import TypeAdapter, ValidationError

from pipeline.labels.events import Author
from store.base.errors import UserError


def author() -> str:
    """The name under which labels are kept.

    Raises
    ------
    UserError
        There is none, or it cannot be one.
    """
    name = os.environ.get("EMC_AUTHOR", "").strip() or _of_git()
    if not name:
        raise UserError("Who labels? Set EMC_AUTHOR, or `git config user.name`.")
    try:
        return TypeAdapter[str](Author).validate_python(name)
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise UserError(f"'{name}' is no author's name ({reason}); set EMC_AUTHOR.") from error


def _of_git() -> str:
    try:
        found = subprocess.run(["git", "config", "user.name"], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return found.stdout.strip()
