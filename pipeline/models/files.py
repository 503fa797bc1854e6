"""From a source (a local folder, or a reference to the hub) to a folder on this disk.

Everything after it reads a folder, so that a local model and a hub model cannot take different
paths (trap 7).
"""

from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from pipeline.models.hub import (
    WEIGHTS,
    commit_of,
    fetched_file,
    fetched_folder,
    is_wanted,
    names_of,
    weights_of,
)
from pipeline.models.hub_references import Reference
from store.base.errors import UserError
from store.base.hashing import digest, file_digest, folder_digest
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


def pinned(source: str, revision: str | None, role: str) -> Source:
    """Fingerprint a source; what is on the hub is resolved to a commit.

    Parameters
    ----------
    source
        A folder, or a reference ``owner/name[/folder][@revision]``.
    revision
        Of the reference, where it stands in a parameter of its own.
    role
        What it is called in errors.

    Raises
    ------
    UserError
        There is neither such a folder nor such a hub repository; the message says why.
    """
    if Path(source).is_dir():
        return Source(source=source, revision=None, fingerprint=folder_digest(Path(source)))
    reference = _reference(source, role)
    if revision is not None:
        if reference.revision is not None:
            raise UserError(
                f"params.yaml: the {role} {source} names a revision, and so does its own parameter "
                f"({one_line(revision)}); delete one of them."
            )
        reference = _reference(f"{source}@{revision}", role)
    commit = commit_of(reference, role)
    name = reference.name
    return Source(source=name, revision=commit, fingerprint=digest({"source": name, "commit": commit}))


def folder_of(source: Source, role: str) -> Path:
    """Folder on this disk that holds a source's files, downloaded if need be.

    Raises
    ------
    UserError
        The folder is missing, or the hub repository cannot be had.
    """
    if source.revision is None:
        if Path(source.source).is_dir():
            return Path(source.source)
        raise _missing(source.source, role)
    return fetched_folder(at_commit(source, role), role)


def file_of(source: Source, name: str, role: str) -> Path:
    """One file of a source on this disk, without the others: what is long to fetch can wait.

    Raises
    ------
    UserError
        As `folder_of`; or there is no such file.
    """
    if source.revision is None:
        return require_file(folder_of(source, role), name, role)
    return fetched_file(at_commit(source, role), name, role)


def weights_in(source: Source, role: str) -> frozenset[str]:
    """SHA-256 of each of a source's files of weights; what is on the hub is not fetched.

    Returns
    -------
    frozenset of str
        Empty where it has none, or the hub does not tell them.

    Raises
    ------
    UserError
        As `folder_of`.
    """
    if source.revision is not None:
        return weights_of(at_commit(source, role), role)
    files = (path for path in folder_of(source, role).iterdir() if path.is_file() and is_wanted(path))
    return frozenset(file_digest(path) for path in files if path.suffix == WEIGHTS)


def names_in(source: Source, role: str) -> frozenset[str]:
    """Names of a source's files; what is on the hub is not fetched.

    Raises
    ------
    UserError
        As `folder_of`.
    """
    if source.revision is not None:
        return names_of(at_commit(source, role), role)
    return frozenset(path.name for path in folder_of(source, role).iterdir())


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


def at_commit(source: Source, role: str) -> Reference:
    """What a source on the hub is there, at its commit."""
    return replace(_reference(source.source, role), revision=source.revision)


def _reference(text: str, role: str) -> Reference:
    reference = Reference.parse(text)
    # A path of several folders, of which the first is here, is a mistyped path and no repository.
    mistyped = reference is not None and reference.folder and Path(text).parents[-2].is_dir()
    if reference is None or (mistyped and reference.revision is None):
        raise _missing(text, role)
    return reference


def _missing(source: str, role: str) -> UserError:
    return UserError(
        f"The {role} folder {source} does not exist (and is no hub name); "
        "correct the path in params.yaml, or make it with `dvc repro` or `dvc pull`."
    )
