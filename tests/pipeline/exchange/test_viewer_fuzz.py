"""Three hundred raw requests: each is answered or closed, and nothing outside the folder is touched."""

import json
import random
import re
from pathlib import Path

import pytest

from tests.support.viewer_requests import serving

REQUESTS = 300
SLUG = "0123456789ab-base"
SECRET = "never to be told"
METHODS = ("GET", "HEAD", "POST", "POST", "PUT", "OPTIONS", "get", "", "G\0T", "GET\t", "CONNECT", "A" * 300)
PLACES = (
    "/data/",
    "/graph_data/",
    "/save_graph/",
    "/",
    "",
    "//",
    "/data",
    "/data//",
    "http://localhost/data/",
)
STEPS = ("..", "%2e%2e", "..%2f..", "%2e%2e%2f", ".", "....", "..\\", "%c0%ae%c0%ae", "%252e%252e", "files")
FILES = (
    "secret.json",
    f"{SLUG}.json",
    SLUG,
    "graph-metadata",
    "graph-metadata.json",
    "index.html",
    "link.json",
    "link",
    "cards/7.json",
    "%00",
    "\0",
    "%ed%a0%bd",
    "%",
    "%zz",
    "é",
    "a" * 3000,
    "?",
    "",
    "x y",
    "#",
)
VERSIONS = ("HTTP/1.1", "HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/x.y", "HTTP/1.1.1", "", "HTTQ", "HTTP/²")
HOSTS = (
    "localhost",
    "127.0.0.1:{port}",
    "[::1]",
    "evil.example",
    "[::1",
    "localhost:x",
    "",
    "\xff",
    "a" * 5000,
)
ORIGINS = ("http://127.0.0.1:{port}", "http://localhost", "null", "https://evil.example", "http://[", "")
KINDS = (
    "application/json",
    "application/json; charset=utf-7",
    "text/plain",
    "",
    "multipart/form-data; boundary=x",
)
LENGTHS = (
    "{n}",
    "{n}",
    "{n}",
    "-1",
    "+{n}",
    "0",
    "1",
    "999999999999",
    "9" * 400,
    "1e3",
    "{n}, {n}",
    "",
    "\xb2",
)
BODIES = (
    json.dumps({"qParams": {"linkType": "out"}}).encode(),
    json.dumps({"qParams": {"linkType": "out"}}).encode(),
    b"",
    b"{}",
    b"null",
    b'{"qParams": {"a": "\\ud800"}}',
    b'{"qParams": ' + b"[" * 5000,
    b"\xff\xfe",
    bytes(3000),
)
OTHERS = (
    "Transfer-Encoding: chunked",
    "Expect: 100-continue",
    "Range: bytes=0-9999999999999",
    "If-Modified-Since: Thu, 01 Jan 2099 00:00:00 GMT",
    "If-Modified-Since: \0",
    "Connection: keep-alive",
    "Content-Type: application/json",
    "no colon",
    ": no name",
    " folded",
    "X: " + "y" * 70_000,
    "\r",
)


def target(chance: random.Random, outside: Path) -> str:
    if chance.random() < 0.2:
        return chance.choice(PLACES) + str(outside / "secret.json")
    steps = [chance.choice(STEPS) for _ in range(chance.choice((0, 0, 0, 1, 2, 8)))]
    return chance.choice(PLACES) + "/".join([*steps, chance.choice(FILES)])


def request(chance: random.Random, port: int, outside: Path) -> bytes:
    """A request of parts that are right more often than not."""

    def one_of(parts: tuple[str, ...], right: float = 0.6) -> str:
        return parts[0] if chance.random() < right else chance.choice(parts)

    body = chance.choice(BODIES)
    names = {"port": port, "n": len(body)}
    post = chance.random() < 0.3
    line = f"{one_of(METHODS)} {target(chance, outside)} {one_of(VERSIONS)}"
    host, origin = one_of(HOSTS), one_of(ORIGINS)
    if post:
        place = one_of((f"/save_graph/{SLUG}", "/save_graph/graph-metadata", "/save_graph/../secret"))
        line, host, origin = f"POST {place} HTTP/1.1", HOSTS[1], one_of(ORIGINS, 0.9)
    headers = [f"Host: {host}"]
    if post or chance.random() < 0.4:
        headers += [
            f"Origin: {origin}",
            f"Content-Type: {one_of(KINDS, 0.8)}",
            f"Content-Length: {one_of(LENGTHS)}",
        ]
    for _ in range(chance.choice((0, 0, 1, 2))):
        headers.insert(chance.randrange(len(headers) + 1), chance.choice(OTHERS))
    head = "\r\n".join([line, *headers]).format(**names) + "\r\n\r\n"
    whole = head.encode("latin-1", "replace") + body
    if chance.random() < 0.1:
        whole = whole[: chance.randrange(len(whole) + 1)]
    if chance.random() < 0.1:
        altered = bytearray(whole or b"x")
        altered[chance.randrange(len(altered))] = chance.randrange(256)
        whole = bytes(altered)
    return whole


def test_every_request_is_answered_or_closed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "files"
    (folder / "cards").mkdir(parents=True)
    graph = folder / f"{SLUG}.json"
    graph.write_text(json.dumps({"qParams": {}, "nodes": []}))
    (folder / "graph-metadata.json").write_text('{"graphs": []}')
    (folder / "cards" / "7.json").write_text("{}")
    (tmp_path / "secret.json").write_text(json.dumps({"qParams": SECRET}))
    (folder / "link.json").symlink_to(tmp_path / "secret.json")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    chance = random.Random(0)
    seen: set[bytes] = set()
    with serving(folder) as served:
        for each in range(REQUESTS):
            sent = request(chance, served.port, tmp_path)
            answer = served.raw(sent)  # fails if nothing comes for twenty seconds
            note = f"request {each}: {sent[:200]!r}"
            assert re.match(rb"HTTP/1\.0 [2345]\d\d [^\r\n]+\r\n", answer) or not answer, note
            assert SECRET.encode() not in answer, note
            assert b"Traceback" not in answer, note
            seen.add(answer[:12])
        assert served.json(f"/data/{SLUG}.json")["nodes"] == []
    assert {int(line[9:]) for line in seen if line} >= {200, 400, 403, 404, 413, 415, 501}
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert after.pop(graph) != before.pop(graph), "something was saved"
    assert after == before
    assert capfd.readouterr().err == ""
