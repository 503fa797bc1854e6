"""moto's S3 server in a thread of this process: it counts requests, and fails, waits or kills when told."""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

if TYPE_CHECKING:
    import pytest

BUCKET: Final = "results"

Before = Callable[[str, str], int | None]
"""From method and path?query of a request to the status that it is answered with instead, or None."""


@dataclass
class ObjectStore:
    """A server on loopback.

    Attributes
    ----------
    endpoint
        Its address.
    requests
        Method and path?query of each request since the last `forget`.
    latency
        Seconds that each answer is held back.
    before
        Sees each request first.
    """

    endpoint: str = ""
    requests: list[tuple[str, str]] = field(default_factory=list)
    latency: float = 0.0
    before: Before = lambda method, path: None

    def forget(self) -> None:
        """As it was at first, but for its objects."""
        self.requests.clear()
        self.latency, self.before = 0.0, lambda method, path: None

    def methods(self, name: str) -> list[str]:
        """Methods of the requests that name something; other processes may ask for other things."""
        return [method for method, path in self.requests if name in path]

    def environment(self) -> dict[str, str]:
        """Variables by which clients find it, and nothing of the user's."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": "/nonexistent",
            "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def used(self, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
        """The same, found by clients of this process while a test runs."""
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        for name, value in self.environment().items():
            monkeypatch.setenv(name, value)
        self.forget()
        return self

    def client(self) -> Any:
        """boto3's, which sees what our own clients did."""
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def names(self) -> list[str]:
        """Keys of all objects, sorted."""
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        return [each["Key"] for page in pages for each in page.get("Contents", ())]

    def age(self, part: str, by: timedelta) -> None:
        """Let objects have been put earlier, those whose name has a part."""
        from moto.core import DEFAULT_ACCOUNT_ID
        from moto.s3.models import s3_backends

        held = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets[BUCKET].keys
        for name in self.names():
            if part in name:
                held[name].last_modified -= by

    def empty(self) -> None:
        """Remove all objects, and forget the rest."""
        self.forget()
        client, names = self.client(), self.names()
        for start in range(0, len(names), 1000):
            objects = [{"Key": name} for name in names[start : start + 1000]]
            client.delete_objects(Bucket=BUCKET, Delete={"Objects": objects})
        self.forget()


@contextmanager
def object_store() -> Iterator[ObjectStore]:
    """A server, with an empty bucket, while the block runs."""
    from moto.moto_server.werkzeug_app import (
        DomainDispatcherApplication,
        MotoRequestHandler,
        create_backend_app,
    )
    from s3fs import S3FileSystem
    from werkzeug.serving import make_server

    S3FileSystem.clear_instance_cache()  # of another server
    store = ObjectStore()
    served = DomainDispatcherApplication(create_backend_app)

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], f"{environ['PATH_INFO']}?{unquote(environ['QUERY_STRING'])}"
        # All of it has come, whatever happens to who sent it.
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        store.requests.append((method, path))
        if store.latency:
            time.sleep(store.latency)
        status = store.before(method, path)
        if status is None:
            return served(environ, start)
        start(f"{status} Told", [("Content-Length", "0")])
        return [b""]

    class Quiet(MotoRequestHandler):
        def log(self, *_: object) -> None:
            """Of each request nothing is said."""

    server = make_server("127.0.0.1", 0, answer, threaded=True, request_handler=Quiet)
    store.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        store.client().create_bucket(Bucket=BUCKET)
        yield store
    finally:
        S3FileSystem.clear_instance_cache()
        server.shutdown()
        thread.join()
        server.server_close()
