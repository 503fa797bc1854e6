"""One tiny project, reproduced once a session; and an S3 server on loopback."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.support.project import Project, tiny_project


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose pipeline has run; treat it as read-only, clone it to change it."""
    project = tiny_project(tmp_path_factory.mktemp("project"))
    project.repro()
    project.commit("results")
    return project


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """Endpoint of a real S3 server process on loopback, with a bucket named `results`."""
    import boto3
    from botocore.exceptions import EndpointConnectionError

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"MOTO_S3_CUSTOM_ENDPOINTS": ""},
    )
    endpoint = f"http://127.0.0.1:{port}"
    try:
        client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        for _ in range(100):
            try:
                client.create_bucket(Bucket="results")
                break
            except EndpointConnectionError:
                time.sleep(0.2)
        yield endpoint
    finally:
        server.terminate()
        server.wait(timeout=10)
