"""Where files lie, a folder or object storage, behind four operations that each take effect whole.

A place is written as people write it: a folder, ``file:///folder``, ``s3://bucket/prefix`` or
``gs://bucket/prefix``. fsspec's clients speak to object storage. They are imported when such a place is
opened, and take credentials and endpoint from the environment (``AWS_ACCESS_KEY_ID``,
``AWS_ENDPOINT_URL``, ``GOOGLE_APPLICATION_CREDENTIALS``, or a role of the machine), never from the place.
"""

import asyncio
import errno
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import unquote

from store.base.errors import UserError
from store.base.parsing import one_line
from store.remote.folders import Facts, FolderFiles

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

CLIENTS: Final = {"s3": "s3fs", "gs": "gcsfs"}
"""The package that speaks to object storage of a scheme."""
_OPTIONS: Final[dict[str, dict[str, Any]]] = {
    # An object that is read in parts at once may be replaced between them; and its size is asked for first.
    # Readers of arrays ask for many small objects at once: more than botocore's ten connections.
    "s3": {"max_concurrency": 1, "config_kwargs": {"max_pool_connections": 48}},
    "gs": {},
}
_OF_THIS_MACHINE: Final = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS}
"""What its disk refuses; a service that refuses gives no such number."""
_LISTED_FOR: Final = 60.0
"""Seconds for which a listing answers where an answer need not be of this moment."""
_ADDRESS: Final = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):(?P<rest>.*)", re.DOTALL)
_BUCKET: Final = re.compile(r"//(?P<bucket>[A-Za-z0-9][A-Za-z0-9._-]*)(?P<prefix>(/[^/?#@:*\[\s]+)*)/?")


class _Listing(NamedTuple):
    made: float
    names: set[str]


@dataclass(frozen=True)
class ObjectFiles:
    """Objects of a bucket below a prefix.

    The client tries again by itself where the service is busy or out of reach for a moment.

    Attributes
    ----------
    scheme
        ``s3`` or ``gs``.
    path
        Bucket and prefix, ``bucket/team/emc``.

    Raises
    ------
    UserError
        By every operation: the service refuses, or does not answer.
    """

    scheme: str
    path: str
    _listings: dict[str, _Listing] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.path}"

    def holds(self, name: str, *, now: bool = True) -> bool:
        """Whether there is such an object.

        Asks the service each time; if not `now`, one listing of what lies beside it answers for a minute.
        """
        if now:
            with self._told():
                return bool(self._client.exists(f"{self.path}/{name}"))
        beside = name.partition("/")[0]
        listing = self._listings.get(beside)
        if listing is None or time.monotonic() - listing.made > _LISTED_FOR:
            listing = self._listings[beside] = _Listing(time.monotonic(), set(self.listed(beside)))
        return name in listing.names

    def read(self, name: str) -> bytes | None:
        """Its content, by one request; None where there is no such object."""
        with self._told():
            try:
                content: bytes = self._client.cat_file(f"{self.path}/{name}")
            except FileNotFoundError:
                return None
        return content

    def read_all(self, names: Sequence[str]) -> dict[str, bytes]:
        """Contents by name, a request each, many at once; those that are not there are left out."""
        paths = {f"{self.path}/{name}": name for name in names}
        if not paths:
            return {}
        with self._told():
            found = self._client.cat(list(paths), on_error="return")
            for content in found.values():
                if isinstance(content, Exception) and not isinstance(content, FileNotFoundError):
                    raise content
        return {paths[path]: content for path, content in found.items() if isinstance(content, bytes)}

    async def part(self, name: str, start: int, stop: int) -> bytes:
        """Bytes `start` to `stop` of an object, by one request, awaited in any event loop.

        Raises
        ------
        FileNotFoundError
            There is no such object.
        """
        with self._told(FileNotFoundError):
            client = self._client
            asked = client._cat_file(f"{self.path}/{name}", start=start, end=stop)
            content: bytes = await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(asked, client.loop))
        return content

    def folders(self) -> list[str]:
        """Names of what is used like a folder just below, sorted, by one request."""
        with self._told():
            try:
                found = self._client.ls(self.path, detail=True)
            except FileNotFoundError:
                return []
        return sorted(each["name"].rpartition("/")[2] for each in found if each["type"] == "directory")

    def write(self, name: str, content: bytes) -> None:
        """Put the object; the service shows it when all of it has come."""
        with self._told():
            self._client.pipe_file(f"{self.path}/{name}", content)
        if (listing := self._listings.get(name.partition("/")[0])) is not None:
            listing.names.add(name)

    def remove(self, name: str) -> None:
        """Remove it; that it is not there any more is well."""
        with self._told(), suppress(FileNotFoundError):
            self._client.rm_file(f"{self.path}/{name}")
        if (listing := self._listings.get(name.partition("/")[0])) is not None:
            listing.names.discard(name)

    def listed(self, below: str = "") -> dict[str, datetime]:
        """All objects below a name that is used like a folder, sorted, and when each was put by the service's
        clock; a request a thousand."""
        return {name: _written(facts) for name, facts in self._found(below).items()}

    def facts(self) -> dict[str, Facts]:
        """All objects, sorted by name; a request a thousand."""
        found = self._found().items()
        return {name: Facts(facts["size"], _written(facts).timestamp()) for name, facts in found}

    def _found(self, below: str = "") -> dict[str, Any]:
        start = "/".join(part for part in (self.path, below) if part)
        with self._told():
            try:
                found: dict[str, Any] = self._client.find(start, detail=True)
            except FileNotFoundError:
                return {}
        return {path.removeprefix(f"{self.path}/"): found[path] for path in sorted(found)}

    def upload(self, files: Mapping[str, Path]) -> None:
        """Put files by the names that they get, several at once."""
        if files:
            with self._told():
                self._client.put([str(path) for path in files.values()], [f"{self.path}/{n}" for n in files])

    def download(self, files: Mapping[str, Path]) -> None:
        """Get objects by name into files whose folders are there, several at once.

        Raises
        ------
        FileNotFoundError
            An object is not there.
        OSError
            The disk is full, say.
        """
        if files:
            with self._told(FileNotFoundError):
                self._client.get([f"{self.path}/{n}" for n in files], [str(path) for path in files.values()])

    def remove_all(self, names: Sequence[str]) -> None:
        """Remove objects, a thousand by one request."""
        if names:
            with self._told(), suppress(FileNotFoundError):
                self._client.rm([f"{self.path}/{name}" for name in names])

    def require(self) -> None:
        """Ask whether the bucket is there and lets us in: at this place, whatever else may be seen of it."""
        with self._told():
            try:
                self._client.ls(self.path)
            except FileNotFoundError:
                # Nothing is here yet, or there is no such bucket: that is told even to who may not list it.
                with suppress(PermissionError):
                    self._client.ls(self.path.partition("/")[0])

    @property
    def _client(self) -> "AbstractFileSystem":
        """fsspec keeps one a process; listings are not kept, since others write, too."""
        import fsspec

        return fsspec.filesystem(self.scheme, use_listings_cache=False, **_OPTIONS[self.scheme])

    @contextmanager
    def _told(self, *passed: type[Exception]) -> Iterator[None]:
        try:
            yield
        except passed:
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno in _OF_THIS_MACHINE:
                raise
            said = one_line(f"{type(error).__name__}: {error}")
            raise UserError(
                f"{self} cannot be used ({said}); see that the bucket is there, that credentials are in the "
                "environment, and that they allow it."
            ) from error


def _written(facts: Mapping[str, Any]) -> datetime:
    """As s3fs and as gcsfs name it."""
    found: datetime = facts.get("LastModified") or facts["mtime"]
    return found


def files_at(place: str) -> FolderFiles | ObjectFiles:
    """What lies at a place.

    Parameters
    ----------
    place
        A folder, ``file:///folder``, ``s3://bucket/prefix`` or ``gs://bucket/prefix``.

    Raises
    ------
    UserError
        An address of another kind, or one whose client is not installed.
    """
    address = _ADDRESS.fullmatch(place)
    if address is None:
        return FolderFiles(Path(place))
    scheme, rest = address["scheme"], address["rest"]
    if scheme == "file":
        if not rest.startswith("///"):
            raise UserError(f"'{place}' names no folder of this machine; write file:///folder.")
        return FolderFiles(Path(unquote(rest.removeprefix("//"))))
    if scheme not in CLIENTS:
        raise UserError(
            f"Storage of the kind '{scheme}:' is not supported; write a folder, file:///folder, "
            "s3://bucket/prefix or gs://bucket/prefix."
        )
    found = _BUCKET.fullmatch(rest)
    if found is None:
        # Not quoted: it may hold a password.
        raise UserError(
            f"An address of {scheme}: is written {scheme}://bucket/prefix, without credentials, which come "
            "from the environment, and without anything else."
        )
    _require_client(scheme)
    return ObjectFiles(scheme, f"{found['bucket']}{found['prefix']}")


def _require_client(scheme: str) -> None:
    import fsspec

    try:
        fsspec.get_filesystem_class(scheme)
    except ImportError as error:
        client = f"{CLIENTS[scheme]}=={fsspec.__version__}"
        raise UserError(f"{scheme}:// needs another package; `pip install {client}`.") from error
