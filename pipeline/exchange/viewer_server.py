"""circuit-tracer's viewer as a server for this machine's own pages alone.

circuit-tracer's ``serve`` listens on every network interface, hands out any file that a path
with ``..`` names and takes whatever is posted; its pages are served here by the standard
library's handler, behind checks. A connection is one request.
"""

import json
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from socket import SHUT_RD, SHUT_WR, socket
from typing import Any, BinaryIO, Final

from circuit_tracer.frontend.local_server import DEFAULT_FRONTEND_DIR

from pipeline.analysis.viewer_json import encoded
from store.base.atomic import write_bytes
from store.base.errors import UserError

HOST: Final = "127.0.0.1"
INDEX: Final = "graph-metadata"
"""Name of the viewer's list of graphs, which lies beside them and is none."""
CONNECTIONS: Final = 16
"""Requests that are answered at a time, a thread each; a browser has six."""
LARGEST_POST: Final = 2**20
"""Bytes; what is saved are names of nodes and groups."""
_SILENCE: Final = 10.0
"""Seconds after which a connection is given up that says nothing, or takes nothing."""
_PATIENCE: Final = 30.0
"""Seconds after which no more of a request is read, however often a byte of it comes."""
_LEFTOVER: Final = 2**16
_FRONTEND: Final = Path(str(DEFAULT_FRONTEND_DIR)).resolve()
_OURS: Final = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?", re.ASCII | re.IGNORECASE)
_DATA: Final = ("/data/", "/graph_data/")
_SAVE: Final = re.compile(r"/save_graph/([A-Za-z0-9_-]+)")
_BUSY: Final = (
    b"HTTP/1.0 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Type: text/plain\r\n\r\n"
    b"Too many connections are open; try again.\n"
)
_LOG: Final = logging.getLogger(__name__)


def viewer(folder: Path, port: int) -> "ViewerServer":
    """circuit-tracer's viewer on a folder of graphs, reachable from this machine alone.

    Parameters
    ----------
    folder
        What `pipeline.exchange.viewer.write_files` wrote.
    port
        Where to listen; 0 takes a free one.

    Raises
    ------
    UserError
        The port is taken.
    """
    try:
        return ViewerServer(folder.resolve(), port)
    except OSError as error:
        raise UserError(
            f"Port {port} cannot be had ({error.strerror}); name another with --port, 0 takes a free one."
        ) from error


class ViewerServer(ThreadingHTTPServer):
    """A server with a bounded number of connections, none of which stays for long.

    Parameters
    ----------
    folder
        The viewer's data folder, resolved.
    port
        Where to listen.
    """

    request_queue_size = 64

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.saving = threading.Lock()
        self._free = threading.BoundedSemaphore(CONNECTIONS)
        self._began: dict[socket, float] = {}
        super().__init__((HOST, port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread of its own, or say at once that all are taken."""
        if not self._free.acquire(blocking=False):
            with suppress(OSError):
                request.settimeout(0.2)  # nobody else is heard meanwhile
                request.recv(_LEFTOVER)
            with suppress(OSError):
                request.sendall(_BUSY)
            super().shutdown_request(request)
            return
        self._began[request] = time.monotonic()
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # the system gives no more threads
            self._ended(request)
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer one connection; the next may come when it is closed."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._ended(request)

    def service_actions(self) -> None:
        """Stop reading what takes too long; called several times a second."""
        late = time.monotonic() - _PATIENCE
        for request, began in list(self._began.items()):
            if began <= late:
                with suppress(OSError):
                    request.shutdown(SHUT_RD)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection after what it still sends: a reset would take its answer away."""
        with suppress(OSError):
            request.shutdown(SHUT_WR)
            request.settimeout(1.0)
            for _ in range(LARGEST_POST // _LEFTOVER):
                if not request.recv(_LEFTOVER):
                    break
        self.close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that has gone away is no error."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

    def _ended(self, request: socket) -> None:
        del self._began[request]
        self._free.release()


class _RefusedError(Exception):
    """A request that is not answered as asked, and what is said instead."""

    def __init__(self, status: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class _Handler(SimpleHTTPRequestHandler):
    """Pages of circuit-tracer, files of the folder, and what is saved into its graphs."""

    server: ViewerServer
    timeout = _SILENCE

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments, directory=str(_FRONTEND))

    def do_GET(self) -> None:
        self._answer(super().do_GET)

    def do_HEAD(self) -> None:
        self._answer(super().do_HEAD)

    def do_POST(self) -> None:
        self._answer(self._save)

    def send_response_only(self, code: int, message: str | None = None) -> None:
        # That of HTTP/0.9, which is also what counts as no HTTP at all, would have no status.
        self.request_version = "HTTP/1.0"
        super().send_response_only(code, message)

    def end_headers(self) -> None:
        # The viewer asks for cached files first, and another run may serve other graphs here.
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        _LOG.info(format, *arguments)

    def translate_path(self, path: str) -> str:
        """The file of an address: a page's, or below one of two names the folder's."""
        for prefix in _DATA:
            if path.startswith(prefix):
                self.directory = str(self.server.folder)
                return super().translate_path(path[len(prefix) - 1 :])
        return super().translate_path(path)

    def send_head(self) -> BytesIO | BinaryIO | None:
        """Open what is asked for, where it lies inside (a link may lead elsewhere)."""
        file = self.translate_path(self.path)
        try:
            inside = Path(os.path.realpath(file)).is_relative_to(self.directory)
        except ValueError:  # no name of a file: it has a NUL, or half a surrogate pair
            inside = False
        if not inside:
            raise _RefusedError(HTTPStatus.NOT_FOUND, "There is no such file.")
        return super().send_head()

    def list_directory(self, path: str | os.PathLike[str]) -> None:
        raise _RefusedError(HTTPStatus.NOT_FOUND, "Folders are not listed.")

    def _answer(self, act: Callable[[], None]) -> None:
        try:
            self._require_local()
            act()
        except _RefusedError as error:
            self.send_error(error.status, explain=str(error).removesuffix("."))  # it adds one

    def _require_local(self) -> None:
        """No page of another site asks, not even one whose name was made to point here."""
        hosts = self.headers.get_all("Host", [])
        origins = self.headers.get_all("Origin", [])
        ours = len(hosts) == 1 and _OURS.fullmatch(hosts[0].strip())
        if not ours or not all(_OURS.fullmatch(name.removeprefix("http://")) for name in origins):
            raise _RefusedError(HTTPStatus.FORBIDDEN, "Open this page as localhost.")
        if not self.path.startswith("/"):
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "An address here begins with a slash.")

    def _save(self) -> None:
        """Keep what a person has pinned and grouped in a graph, in the graph's file."""
        path = self._graph()
        chosen = _chosen(self._posted())
        with self.server.saving:
            try:
                document = json.loads(path.read_text(encoding="utf-8"))
                write_bytes(path, encoded({**document, "qParams": chosen}))
            except (OSError, ValueError, TypeError) as error:
                raise _RefusedError(
                    HTTPStatus.INTERNAL_SERVER_ERROR, f"{path.name} cannot be written: {error}."
                ) from error
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _graph(self) -> Path:
        name = _SAVE.fullmatch(self.path.split("?")[0])
        path = self.server.folder / f"{name[1] if name else INDEX}.json"
        if path.stem == INDEX or path.is_symlink() or not path.is_file():
            raise _RefusedError(HTTPStatus.NOT_FOUND, "There is no graph of that name.")
        return path

    def _posted(self) -> bytes:
        """The body of a post by this very page: another site's form cannot name its kind JSON."""
        if self.headers.get_all("Origin") != [f"http://{self.headers['Host'].strip()}"]:
            raise _RefusedError(HTTPStatus.FORBIDDEN, "Only this page itself can save.")
        if self.headers.get_content_type() != "application/json":
            raise _RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "What is saved is application/json.")
        lengths = self.headers.get_all("Content-Length", [])
        if not lengths or "Transfer-Encoding" in self.headers:
            raise _RefusedError(HTTPStatus.LENGTH_REQUIRED, "Say by Content-Length how long it is.")
        if len(lengths) > 1 or not re.fullmatch(r"[0-9]+", lengths[0]):
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "Content-Length is no one number.")
        digits = lengths[0].lstrip("0")
        if len(digits) > len(str(LARGEST_POST)) or int(digits or 0) > LARGEST_POST:
            raise _RefusedError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"No more than {LARGEST_POST} bytes can be saved."
            )
        try:
            body = self.rfile.read(int(digits or 0))
        except TimeoutError as error:
            raise _RefusedError(HTTPStatus.REQUEST_TIMEOUT, "The rest of it did not come.") from error
        if len(body) < int(digits or 0):
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "It is shorter than it says.")
        return body


def _chosen(body: bytes) -> dict[str, str | None]:
    """What the viewer's page keeps of a graph: texts by name."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    chosen = document.get("qParams") if isinstance(document, dict) else None
    if not isinstance(chosen, dict) or not all(isinstance(each, str | None) for each in chosen.values()):
        raise _RefusedError(HTTPStatus.BAD_REQUEST, "That is no JSON with qParams, texts by name.")
    return chosen
