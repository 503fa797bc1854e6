"""How every small document of a profile is read: whole and as written, or a sentence says what is wrong."""

from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from store.base.checksums import FOLDER, require_recorded
from store.base.errors import ArtifactMissingError, DamagedArtifactError, UnknownFormatError
from store.remote.origins import bring, origin_of, remedy

T = TypeVar("T")

_REMEDY: Final = "`dvc checkout --force` restores it, `dvc repro` makes it anew."


def read_document(
    path: Path, form: TypeAdapter[T], *, version: int | None = None, oldest: int | None = None
) -> T:
    """Read a JSON document that the pipeline wrote.

    Parameters
    ----------
    path
        The file.
    form
        What it holds; values are not converted to other types.
    version
        Of the document's layout, which stands under ``format_version``; None: it has none.
    oldest
        Earlier versions from this one on have the same form, with defaults; None: there is no such.

    Raises
    ------
    ArtifactMissingError
        There is no such file.
    DamagedArtifactError
        It is not what its stage wrote, not JSON, or has another form than the pipeline writes.
    UnknownFormatError
        It has another version of its layout.
    """
    content = read_recorded(path)
    try:
        plain: Any = from_json(content)
    except ValueError as error:
        raise DamagedArtifactError(f"{path} is not valid JSON ({error}); {_remedy(path)}") from error
    if version is not None:
        found = plain.get("format_version") if isinstance(plain, dict) else None
        if type(found) is int and not (version if oldest is None else oldest) <= found <= version:
            raise UnknownFormatError(
                f"{path} has format version {found}, this code reads {version}; "
                "run `dvc repro` to make it anew."
            )
    try:
        return form.validate_json(content, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise DamagedArtifactError(
            f"{path} has another form than the pipeline writes ({f'{where}: ' if where else ''}"
            f"{first['msg']}); {_remedy(path)}"
        ) from error


def read_recorded(path: Path) -> bytes:
    """UTF-8 text of a file that the pipeline wrote, compared with its checksum where it is under one.

    Raises
    ------
    ArtifactMissingError, DamagedArtifactError
        As `read_document`.
    """
    bring(path, beside=FOLDER)
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise ArtifactMissingError(f"{path} does not exist yet; `dvc repro` makes it.") from None
    except IsADirectoryError:
        raise DamagedArtifactError(f"{path} is a folder, not a file; {_remedy(path)}") from None
    try:
        require_recorded(path, content)
    except DamagedArtifactError as error:
        if origin_of(path) is None:
            raise
        raise DamagedArtifactError(f"{path} is not what its stage wrote; {_remedy(path)}") from error
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DamagedArtifactError(f"{path} is not UTF-8 text; {_remedy(path)}") from error
    return content


def _remedy(path: Path) -> str:
    return remedy(path, _REMEDY, beside=FOLDER)
