"""The Hugging Face hub on loopback, as far as its client asks: commits, files, and every fault on demand."""

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import pytest
from huggingface_hub import constants, file_download
from huggingface_hub.utils import reset_sessions

FAULTS: Final[Mapping[str, tuple[int, str]]] = {
    "gated": (403, "GatedRepo"),
    "not logged in": (401, ""),
    "wrong token": (401, ""),
    "forbidden": (403, ""),
    "disabled": (403, ""),
    "missing": (404, "RepoNotFound"),
    "too often": (429, ""),
    "down": (503, ""),
}
"""Status and error code of an answer; `cut` breaks a file off in the middle instead."""
_TEMPLATE: Final = "/{repo_id}/resolve/{revision}/{filename}"
_MESSAGES: Final = {
    "wrong token": "Invalid credentials in Authorization header",
    "disabled": "Access to this resource is disabled.",
}
_STORAGE: Final = "/storage"


@dataclass
class HubServer:
    """What lies on it, and what it does when it is asked.

    Attributes
    ----------
    url
        Its address.
    fault
        From a path to one of `FAULTS`, ``cut``, or "" for none.
    asked
        Method and path of each request, in the order of arrival.
    stores_apart
        Whether weights lie in a storage of their own (Xet), as the hub has it; that one has lost them.
    """

    url: str
    fault: Callable[[str], str] = lambda path: ""
    asked: list[tuple[str, str]] = field(default_factory=list)
    stores_apart: bool = False
    _commits: dict[str, dict[str, dict[str, bytes]]] = field(default_factory=dict)
    _heads: dict[str, str] = field(default_factory=dict)

    def upload(self, repository: str, files: Path | Mapping[str, bytes], *, branch: str = "main") -> str:
        """Put a folder, or contents by name, into a repository: a new commit, which its branch is then at."""
        if isinstance(files, Path):
            paths = [path for path in files.rglob("*") if path.is_file()]
            files = {path.relative_to(files).as_posix(): path.read_bytes() for path in paths}
        commits = self._commits.setdefault(repository, {})
        commit = hashlib.sha1(f"{repository} {branch} {len(commits)}".encode()).hexdigest()
        commits[commit] = dict(files)
        self._heads[f"{repository}@{branch}"] = commit
        return commit

    def commit(self, repository: str, revision: str) -> str | None:
        """The commit of a revision."""
        head = self._heads.get(f"{repository}@{revision}", revision)
        return head if head in self._commits.get(repository, {}) else None

    def files(self, repository: str, commit: str) -> dict[str, bytes]:
        """Contents by name."""
        return self._commits[repository][commit]

    def knows(self, repository: str) -> bool:
        """Whether there is such a repository."""
        return repository in self._commits


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # a reply is one packet: in two it would wait for the kernel
    hub: HubServer

    def log_message(self, format: str, *args: object) -> None:
        """Nothing; tests read what they print."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append((self.command, path))
        fault = self.hub.fault(path)
        if fault in FAULTS:
            self._fail(*FAULTS[fault], message=_MESSAGES.get(fault, ""))
            return
        if path.startswith(_STORAGE):
            self._storage(path)
            return
        parts = path.removeprefix("/api/models").strip("/").split("/")
        repository, rest = "/".join(parts[:2]), parts[2:]
        if not self.hub.knows(repository):
            self._fail(404, "RepoNotFound")
            return
        kind, revision = (rest[0], rest[1]) if rest else ("revision", "main")
        commit = self.hub.commit(repository, revision)
        if commit is None:
            self._fail(404, "RevisionNotFound")
        elif kind == "revision":
            said = {"id": repository, "sha": commit, "siblings": self._siblings(repository, commit)}
            self._send(json.dumps(said).encode(), {})
        elif kind == "tree":
            self._tree(self.hub.files(repository, commit), "/".join(rest[2:]))
        else:
            self._file(self.hub.files(repository, commit), "/".join(rest[2:]), commit, cut=fault == "cut")

    def _siblings(self, repository: str, commit: str) -> list[dict[str, str]]:
        return [{"rfilename": name} for name in self.hub.files(repository, commit)]

    def _tree(self, files: Mapping[str, bytes], folder: str) -> None:
        inside = [name for name in files if not folder or name.startswith(f"{folder}/")]
        if not inside:
            self._fail(404, "EntryNotFound")
            return
        depth = folder.count("/") + 2 if folder else 1
        entries = [_entry(name, files[name]) for name in inside if name.count("/") == depth - 1]
        self._send(json.dumps(entries).encode(), {})

    def _file(self, files: Mapping[str, bytes], name: str, commit: str, *, cut: bool) -> None:
        if name not in files:
            self._fail(404, "EntryNotFound")
            return
        headers = {"ETag": f'"{_etag(files[name])}"', "X-Repo-Commit": commit}
        if self.hub.stores_apart and name.endswith(".safetensors"):
            headers |= {
                "X-Xet-Hash": _etag(files[name]),
                "X-Xet-Refresh-Route": f"{self.hub.url}{_STORAGE}/token",
            }
        self._send(files[name], headers, cut=cut)

    def _storage(self, path: str) -> None:
        if path != f"{_STORAGE}/token":
            self._fail(404, "")
            return
        told = {
            "X-Xet-Cas-Url": f"{self.hub.url}{_STORAGE}",
            "X-Xet-Access-Token": "token",
            "X-Xet-Token-Expiration": "4102444800",
        }
        self._send(b"", told)

    def _fail(self, status: int, code: str, *, message: str = "") -> None:
        headers = {"X-Error-Code": code} if code else {}
        self._send(b"{}", headers | ({"X-Error-Message": message} if message else {}), status=status)

    def _send(self, body: bytes, headers: Mapping[str, str], *, status: int = 200, cut: bool = False) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if cut and self.command == "GET":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            half = body[: len(body) // 2]
            self.wfile.write(f"{len(body):x}\r\n".encode() + half)
            self.wfile.flush()
            self.close_connection = True
            return
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


def _entry(name: str, content: bytes) -> dict[str, object]:
    """A file as the hub lists it; it says SHA-256 of those that git keeps apart (LFS)."""
    entry = {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
    if not name.endswith(".safetensors"):
        return entry
    return entry | {"lfs": {"oid": _etag(content), "size": len(content), "pointerSize": 134}}


def _etag(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@contextmanager
def hub_server() -> Iterator[HubServer]:
    """An empty hub, for as long as the context lasts."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    hub = HubServer(url=f"http://127.0.0.1:{server.server_address[1]}")
    server.RequestHandlerClass = type("Handler", (_Handler,), {"hub": hub})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def asked_by(patch: pytest.MonkeyPatch, hub: HubServer, home: Path) -> Iterator[None]:
    """Let the client in this process ask that hub, and keep what it fetches below a folder."""
    patch.setattr(constants, "ENDPOINT", hub.url)
    patch.setattr(file_download, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + _TEMPLATE)
    patch.setattr(constants, "HF_HUB_CACHE", str(home))
    patch.setattr(constants, "HF_HUB_OFFLINE", False)
    reset_sessions()
    yield
    reset_sessions()
