"""From a source (a local folder, or a hub name and revision) to a folder on this disk.

The only place that knows the hub: everything after it reads a folder, so that a local
model and a hub model cannot take different paths (trap 7).
"""

import re
from pathlib import Path
from typing import Any, Final, TypeVar

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from pydantic import BaseModel, ValidationError

from store.base.errors import UserError
from store.base.hashing import digest, folder_digest
from store.base.parsing import MalformedError, one_line, parse_json, parse_yaml, quoted, read_text
from store.documents.manifest import Source

LIBRARY_ERRORS: Final = (
    OSError,
    ValueError,
    ArithmeticError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    RuntimeError,
)
"""What libraries raise on files of a form that they did not expect: whatever came of it first."""

Form = TypeVar("Form", bound=BaseModel)

_HUB_NAME: Final = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
# No pickled weights, no code, no second copy of the weights in another format.
_WANTED: Final = ("*.json", "*.yaml", "*.safetensors", "*.model", "*.txt", "*.jinja")
_UNWANTED: Final = ("original/*", "onnx/*", "consolidated*")


def pinned(source: str, revision: str | None, role: str) -> Source:
    """Fingerprint a source; a hub revision is resolved to its commit.

    Raises
    ------
    UserError
        There is neither such a folder nor such a hub repository.
    """
    if Path(source).is_dir():
        return Source(source=source, revision=None, fingerprint=folder_digest(Path(source)))
    _require_hub_name(source, role)
    commit = revision
    if revision is None or not _COMMIT.fullmatch(revision):
        try:
            commit = HfApi().repo_info(source, revision=revision).sha
        except (HfHubHTTPError, OSError) as error:
            raise _unreachable(source, revision, role) from error
    return Source(source=source, revision=commit, fingerprint=digest({"source": source, "commit": commit}))


def folder_of(source: Source, role: str) -> Path:
    """Folder on this disk that holds a source's files, downloaded if need be.

    Raises
    ------
    UserError
        The folder is missing, or the hub repository cannot be had.
    """
    if Path(source.source).is_dir():
        return Path(source.source)
    _require_hub_name(source.source, role)
    try:
        return Path(
            snapshot_download(
                source.source,
                revision=source.revision,
                allow_patterns=list(_WANTED),
                ignore_patterns=list(_UNWANTED),
            )
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise _unreachable(source.source, source.revision, role) from error


def require_file(folder: Path, name: str, role: str) -> Path:
    """A file that the folder must have.

    Raises
    ------
    UserError
        It is missing.
    """
    path = folder / name
    try:
        there = path.is_file()
    except OSError:  # a name that no file can have
        there = False
    if not there:
        raise UserError(f"The {role} folder {folder} has no {one_line(name)}; is it the right folder?")
    return path


def read_mapping(path: Path) -> dict[str, Any]:
    """What a JSON or YAML file says, which must be keys and values.

    Raises
    ------
    UserError
        It is something else.
    """
    parse = parse_yaml if path.suffix == ".yaml" else parse_json
    try:
        content: Any = parse(read_text(path))
    except MalformedError as error:
        at = "" if error.line is None else f", line {error.line}"
        raise damaged(path, error.what + at) from error
    if not isinstance(content, dict):
        raise damaged(path, "no keys and values in it")
    return content


def require_form(path: Path, content: dict[str, Any], form: type[Form]) -> Form:
    """What a configuration says, as far as a form names it.

    Parameters
    ----------
    path, content
        The file, and what `read_mapping` read there.
    form
        Keys, types and ranges; values are not converted to other types.

    Raises
    ------
    UserError
        A value is missing or of another form; the message names the key.
    """
    try:
        return form.model_validate(content, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = one_line(".".join(str(part) for part in first["loc"]))
        what = one_line(first["msg"].removeprefix("Value error, "))
        given = "" if first["type"] == "missing" else f", but it is {quoted(first['input'])}"
        raise UserError(
            f"{path}: {where}: {what[0].lower()}{what[1:]}{given}; correct it, or copy or download the file "
            "again."
        ) from error


def damaged(path: Path, why: Exception | str) -> UserError:
    """The error that tells of a file whose content is not what its name promises."""
    return UserError(
        f"{path} is damaged, or a git-lfs pointer that was not fetched ({one_line(why)}); "
        "run `git lfs pull` in its repository, or copy or download it again."
    )


def _require_hub_name(source: str, role: str) -> None:
    if not _HUB_NAME.fullmatch(source):
        raise UserError(
            f"The {role} folder {source} does not exist (and is no hub name); "
            "correct the path in params.yaml, or make it with `dvc repro` or `dvc pull`."
        )


def _unreachable(source: str, revision: str | None, role: str) -> UserError:
    at = f" at revision {revision}" if revision else ""
    return UserError(
        f"The {role} {source}{at} is neither a folder here nor a hub repository that can be "
        "reached; check the name in params.yaml, the network, and access with `hf auth login`."
    )
