"""The viewer's server: whom it answers, what it gives out, and what it takes."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.exchange import viewer_server
from pipeline.exchange.viewer_server import CONNECTIONS, LARGEST_POST, viewer
from store.base.errors import UserError
from tests.support.viewer_requests import Serving, everything, serving

SLUG = "0123456789ab-base"
GRAPH = {"metadata": {"slug": SLUG}, "qParams": {"linkType": "both"}, "nodes": [], "links": []}
CHOSEN = {"pinnedIds": "a,b", "supernodes": '[["a half \\ud83d","b"]]', "clickedId": None}
BODY = json.dumps({"qParams": CHOSEN, "timestamp": "now"}).encode()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Serving]:
    folder = tmp_path / "files"
    (folder / "cards").mkdir(parents=True)
    (folder / f"{SLUG}.json").write_text(json.dumps(GRAPH))
    (folder / "graph-metadata.json").write_text(json.dumps({"graphs": [GRAPH["metadata"]]}))
    (folder / "cards" / "7.json").write_text('{"index": 7}')
    (tmp_path / "secret.json").write_text('"secret"')
    (folder / "link.json").symlink_to(tmp_path / "secret.json")
    with serving(folder) as here:
        yield here


def saved(served: Serving) -> dict[str, object]:
    """What the graph's file holds of what a person chose."""
    return dict(json.loads((served.folder / f"{SLUG}.json").read_text())["qParams"])


def test_pages_graphs_and_cards_are_given_out(served: Serving) -> None:
    assert b"initCg" in served.ask("/index.html")[1]
    assert served.json("/data/graph-metadata.json") == {"graphs": [{"slug": SLUG}]}
    assert served.json(f"/graph_data/{SLUG}.json?x=1") == GRAPH
    assert served.json("/data/cards/7.json") == {"index": 7}
    answer = served.raw(f"HEAD /data/{SLUG}.json HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    head, _, content = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 200 ")
    assert f"Content-Length: {len(json.dumps(GRAPH))}".encode() in head
    assert b"Cache-Control: no-store" in head
    assert content == b""


def test_nobody_elsewhere_can_connect(served: Serving) -> None:
    with pytest.raises(OSError, match="refused"), socket.create_connection(("127.0.0.2", served.port)):
        pass


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize(
    "headers",
    [
        "Host: evil.example",
        "Host: localhost.evil.example",
        "Host: localhost@evil.example",
        "Host: [::1",
        "Host: ",
        "X: no host",
        "Host: localhost\r\nHost: evil.example",
        "Host: localhost\r\nOrigin: https://evil.example",
        "Host: localhost\r\nOrigin: null",
        "Host: localhost\r\nOrigin: http://[::1",
    ],
)
def test_only_pages_of_this_machine_can_ask(served: Serving, method: str, headers: str) -> None:
    target = f"/save_graph/{SLUG}" if method == "POST" else f"/data/{SLUG}.json"
    kind = f"Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n"
    answer = served.raw(f"{method} {target} HTTP/1.1\r\n{headers}\r\n{kind}\r\n".encode() + BODY)
    assert answer.startswith(b"HTTP/1.0 403 ")
    assert (b"Open this page as localhost." in answer) is (method != "HEAD")
    assert saved(served) == GRAPH["qParams"]


@pytest.mark.parametrize("host", ["localhost:9999", "127.0.0.1", "[::1]:8032", "LOCALHOST"])
def test_through_a_tunnel_the_port_differs(served: Serving, host: str) -> None:
    assert served.ask("/index.html", Host=host)[0] == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/data/../secret.json", 404),
        ("/graph_data/../secret.json", 404),
        ("/data/%2e%2e/secret.json", 404),
        ("/data/..%2fsecret.json", 404),
        ("/data/{outside}/secret.json", 404),
        ("/data//{outside}/secret.json", 404),
        ("/data/link.json", 404),
        ("/data/", 404),
        ("/data/cards/", 404),
        ("/data/x.json", 404),
        ("/data/%00.json", 404),
        ("/%00", 404),
        ("/data/%ed%a0%80.json", 404),
        ("/data/" + "a" * 5000, 404),
        ("/attribution_graph/", 404),
        ("/../../../../../../../../etc/hostname", 404),
        ("http://localhost/index.html", 400),
        ("*", 400),
        ("/" + "a" * 70000, 414),
    ],
)
def test_only_files_of_the_folder_are_given_out(served: Serving, path: str, status: int) -> None:
    target = path.format(outside=served.folder.parent)
    for method in ("GET", "HEAD"):
        answer = served.raw(f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert answer.startswith(f"HTTP/1.0 {status} ".encode()), (method, answer[:200])
        assert b"secret" not in answer.partition(b"\r\n\r\n")[2].replace(target.encode(), b"")


def test_what_is_no_http_gets_an_answer(served: Serving, capfd: pytest.CaptureFixture[str]) -> None:
    many = "".join(f"X{number}: 1\r\n" for number in range(200))
    for request, status in {
        "nonsense\r\n\r\n": 400,
        "GET /index.html HTTP/nine\r\nHost: localhost\r\n\r\n": 400,
        "GET /index.html HTTP/2.0\r\nHost: localhost\r\n\r\n": 505,
        "BREW / HTTP/1.1\r\nHost: localhost\r\n\r\n": 501,
        f"GET / HTTP/1.1\r\n{many}\r\n": 431,
        "GET /index.html\r\n\r\n": 403,
    }.items():
        assert served.raw(request.encode()).startswith(f"HTTP/1.0 {status} ".encode()), request
    assert capfd.readouterr().err == ""


def test_what_a_person_chose_is_kept(served: Serving) -> None:
    assert served.save(SLUG, BODY) == 200
    assert saved(served) == CHOSEN
    assert {path.name for path in served.folder.iterdir()} == {
        f"{SLUG}.json",
        "graph-metadata.json",
        "cards",
        "link.json",
    }


def test_only_the_page_itself_can_save(served: Serving) -> None:
    own = {"Content-Type": "application/json"}
    assert served.ask(f"/save_graph/{SLUG}", "POST", BODY, **own)[0] == 403
    assert served.save(SLUG, BODY, Origin=f"http://localhost:{served.port}") == 403
    assert served.save(SLUG, BODY, Origin=served.origin.replace(":", ":1", 2)) == 403
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        assert served.save(SLUG, BODY, **{"Content-Type": kind}) == 415
    assert saved(served) == GRAPH["qParams"]
    assert served.save(SLUG, BODY, **{"Content-Type": "application/json; charset=utf-8"}) == 200


@pytest.mark.parametrize(
    "slug",
    [
        "graph-metadata",
        "graph-metadata?x",
        "link",
        "cards/7",
        "../files/" + SLUG,
        "nothing",
        "",
        "a%00",
        "x/" + SLUG,
    ],
)
def test_only_graphs_are_saved(served: Serving, slug: str) -> None:
    before = {path: path.read_bytes() for path in served.folder.parent.rglob("*.json")}
    assert served.save(slug, BODY) == 404
    assert {path: path.read_bytes() for path in served.folder.parent.rglob("*.json")} == before


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"qParams": 1}',
        b'{"qParams": {"a": {}}}',
        b'{"qParams": {"a": [1]}}',
        b'{"qParams": {"a": NaN}}',
        b'{"qParams": "\xff"}',
        b'{"qParams": ' + b"[" * 100_000,
        b'{"qParams": {"a": ' + b"9" * 10_000 + b"}}",
    ],
)
def test_what_is_saved_are_texts_by_name(served: Serving, body: bytes) -> None:
    assert served.save(SLUG, body) == 400
    assert saved(served) == GRAPH["qParams"]


@pytest.mark.parametrize(
    ("lengths", "status"),
    [
        ([str(600 * 10**6)], 413),
        ([str(LARGEST_POST + 1)], 413),
        (["9" * 10_000], 413),
        (["-1"], 400),
        (["-9223372036854775808"], 400),
        (["+5"], 400),
        (["1_0"], 400),
        (["²"], 400),
        (["0x10"], 400),
        ([""], 400),
        (["5", "6"], 400),
        ([], 411),
        ([str(len(BODY) + 1)], 400),
    ],
)
def test_how_long_a_post_is(served: Serving, lengths: list[str], status: int) -> None:
    # Nothing but the header is sent of what is too long: nobody waits for the rest of it.
    headers = "".join(f"Content-Length: {length}\r\n" for length in lengths)
    own = f"Host: localhost\r\nOrigin: http://localhost\r\nContent-Type: application/json\r\n{headers}"
    request = f"POST /save_graph/{SLUG} HTTP/1.1\r\n{own}\r\n".encode("latin-1")
    with served.connect() as connection:
        connection.sendall(request + (BODY if status == 400 else b""))
        if status == 400:
            connection.shutdown(socket.SHUT_WR)
        assert everything(connection).startswith(f"HTTP/1.0 {status} ".encode())
    assert saved(served) == GRAPH["qParams"]


def test_a_post_in_pieces_of_unknown_length_is_refused(served: Serving) -> None:
    assert served.save(SLUG, BODY, **{"Transfer-Encoding": "chunked"}) == 411


def test_a_graph_that_is_none_is_told(served: Serving) -> None:
    for content in ("[]", "{", "5"):
        (served.folder / f"{SLUG}.json").write_text(content)
        assert served.save(SLUG, BODY) == 500
        assert (served.folder / f"{SLUG}.json").read_text() == content


def test_connections_are_bounded_and_told_so(served: Serving) -> None:
    before = threading.active_count()
    silent = [served.connect() for _ in range(CONNECTIONS)]
    try:
        answer = served.raw(b"GET /index.html HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answer.startswith(b"HTTP/1.0 503 ")
        assert threading.active_count() <= before + CONNECTIONS
        silent.pop().close()
        while (status := served.ask("/index.html")[0]) == 503:
            pass  # until that connection has ended
        assert status == 200
    finally:
        for connection in silent:
            connection.close()


def test_a_request_that_never_ends_is_ended(served: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewer_server, "_PATIENCE", 0.0)
    monkeypatch.setattr(viewer_server._Handler, "timeout", None)  # silence alone would not end it
    own = f"Host: {served.origin[7:]}\r\nOrigin: {served.origin}\r\nContent-Type: application/json\r\n"
    begun = f"POST /save_graph/{SLUG} HTTP/1.1\r\n{own}Content-Length: 9\r\n\r\n12".encode()
    for request in (b"GET /index", begun):
        with served.connect() as connection:
            connection.sendall(request)
            everything(connection)  # which would wait for as long as this side does
    monkeypatch.undo()
    assert served.ask("/index.html")[0] == 200


def test_a_browser_that_goes_away_is_no_error(served: Serving, capfd: pytest.CaptureFixture[str]) -> None:
    (served.folder / "large.json").write_bytes(b" " * 2**22)
    for _ in range(20):
        with served.connect() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.sendall(b"GET /data/large.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
            connection.recv(1)
    assert served.ask("/index.html")[0] == 200
    assert capfd.readouterr().err == ""


def test_a_taken_port_is_told(served: Serving, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Port \d+ cannot be had .* 0 takes a free one"):
        viewer(tmp_path, served.port)
