"""The viewer's server in a thread, and requests byte by byte."""

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.exchange.viewer_server import ViewerServer, viewer


@dataclass(frozen=True, kw_only=True)
class Serving:
    """A server that answers, and where."""

    server: ViewerServer
    folder: Path

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server.server_port)

    @property
    def origin(self) -> str:
        """Of its own pages."""
        return f"http://127.0.0.1:{self.port}"

    def connect(self) -> socket.socket:
        """An open connection that has said nothing yet."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def raw(self, request: bytes) -> bytes:
        """All that comes back for the bytes of a request, after which no more is said."""
        with self.connect() as connection:
            try:
                connection.sendall(request)
                connection.shutdown(socket.SHUT_WR)
            except (BrokenPipeError, ConnectionResetError):
                pass  # answered before it was heard out
            return everything(connection)

    def ask(self, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        """Status and content of one request, its path sent as it is."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        content = answer.status, answer.read()
        connection.close()
        return content

    def json(self, path: str) -> Any:
        """What the viewer gets where it asks for JSON."""
        status, content = self.ask(path)
        assert status == 200, path
        return json.loads(content)

    def save(self, slug: str, body: bytes, **headers: str) -> int:
        """Status of a post as the viewer's page makes it, but for the headers given."""
        own = {"Origin": self.origin, "Content-Type": "application/json"}
        return self.ask(f"/save_graph/{slug}", "POST", body, **{**own, **headers})[0]


def everything(connection: socket.socket) -> bytes:
    """What comes until the other side is done."""
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


@contextmanager
def serving(folder: Path) -> Iterator[Serving]:
    """Serve the viewer's files of a folder."""
    with viewer(folder, 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield Serving(server=server, folder=folder)
        finally:
            server.shutdown()
            thread.join()
