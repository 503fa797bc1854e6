"""A service that judges, on loopback: chat completions and responses, with every fault on demand."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

SLOW: Final = 2.0
"""Seconds that a slow answer takes."""
LABELS: Final = ("evil", "safe", "unsure")

HTTP_FAULTS: Final = {
    "400": {"message": "temperature is not supported", "code": "unsupported_value"},
    "401": {"message": "wrong key"},
    "404": {"message": "no such model"},
    "429": {"message": "slow down", "code": "rate_limit_exceeded"},
    "500": {"message": "sorry"},
    "503": {"message": "overloaded"},
    "later": {"message": "in a while", "code": "rate_limit_exceeded"},
    "no money": {"message": "you have no money left", "code": "insufficient_quota"},
    "filtered prompt": {"message": "not that", "code": "content_filter"},
}
AFTER: Final = 0.4
"""Seconds that `later` asks to wait."""
_CODES: Final = {"later": 429, "no money": 429, "filtered prompt": 400}
BROKEN: Final = ("missing", "foreign", "twice", "label", "type", "prose", "half")
"""Answers that are whole replies, and give no verdicts."""


def label_of(token: int) -> str:
    """What the service says of a token."""
    return LABELS[token % 3]


def answer_of(tokens: list[int], fault: str = "") -> str:
    """What the model writes."""
    verdicts: list[dict[str, Any]] = [
        {"token": token, "label": label_of(token), "reason": f"It is {token}."} for token in tokens
    ]
    if fault == "missing":
        verdicts.pop()
    elif fault == "foreign":
        verdicts[-1]["token"] = 999_999
    elif fault == "twice":
        verdicts.append(verdicts[0])
    elif fault == "label":
        verdicts[0]["label"] = "harmless"
    elif fault == "type":
        verdicts[0]["token"] = str(tokens[0])
    # Not in the order of the candidates: ids tell which is which.
    said = json.dumps({"fit": True, "rule": "none", "verdicts": verdicts[::-1]})
    if fault.endswith("prose"):
        return "I would say that all of them are fine."
    return said[: len(said) // 2] if fault in {"half", "length"} else said


@dataclass
class JudgeServer:
    """What it is asked, and what it does then.

    Attributes
    ----------
    url
        Its ``base_url``.
    fault
        From the text that is judged, and how often that was asked before, to a fault, or "" for none;
        may take its time.
    received
        Path, headers and body of each request, in the order of arrival.
    """

    url: str
    fault: Callable[[str, int], str] = lambda text, before: ""
    received: list[tuple[str, Mapping[str, str], dict[str, Any]]] = field(default_factory=list)
    _asked: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def asked(self) -> Counter[str]:
        """How often each text was asked about."""
        return Counter(self._asked)

    def forget(self) -> None:
        """As if nothing had been asked."""
        self.received.clear()
        self._asked.clear()

    def _take(self, path: str, headers: Mapping[str, str], body: dict[str, Any]) -> tuple[list[int], str]:
        said = (body["messages"] if "messages" in body else body["input"])[-1]["content"]
        task = json.loads(said.splitlines()[-1])
        with self._lock:
            self.received.append((path, headers, body))
            before = self._asked[task["text"]]
            self._asked[task["text"]] += 1
        return [each["token"] for each in task["candidates"]], self.fault(task["text"], before)


def _chat(text: str, fault: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text, "refusal": None}
    if fault == "refusal":
        message |= {"content": None, "refusal": "I cannot help with that."}
    finish = {"length": "length", "filter": "content_filter"}.get(fault, "stop")
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "judge-2026",
        "choices": [{"index": 0, "finish_reason": finish, "message": message}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
    }


def _response(text: str, fault: str) -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": []}
    if fault == "refusal":
        part = {"type": "refusal", "refusal": "I cannot help with that."}
    reason = {"length": "max_output_tokens", "filter": "content_filter"}.get(fault)
    return {
        "id": "1",
        "object": "response",
        "model": "judge-2026",
        "status": "incomplete" if reason else "completed",
        "incomplete_details": {"reason": reason} if reason else None,
        "output": [
            {"type": "reasoning", "id": "r", "summary": []},
            {"type": "message", "role": "assistant", "content": [part]},
        ],
        "usage": {"input_tokens": 100, "output_tokens": 10, "total_tokens": 110},
    }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # a reply is one packet: in two it would wait for the kernel
    judge: JudgeServer

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        tokens, fault = self.judge._take(self.path, headers, json.loads(content))
        if fault == "slow":
            time.sleep(SLOW)
        if fault in HTTP_FAULTS:
            code = _CODES.get(fault) or int(fault)
            said = json.dumps({"error": HTTP_FAULTS[fault]}).encode()
            self._send(code, said, after=AFTER if fault == "later" else 0)
        elif fault == "tell the key":
            told = {"error": {"message": f"{headers['authorization']} is not welcome"}}
            self._send(500, json.dumps(told).encode())
        elif fault == "html":
            self._send(200, b"<html>Please log in.</html>")
        else:
            form = _chat if self.path.endswith("/chat/completions") else _response
            text = answer_of(tokens, fault)
            if fault == "give the key as a reason":
                text = text.replace("It is", headers["authorization"])
            reply = form(text, fault)
            if fault.startswith("uncounted"):
                del reply["usage"]
            body = json.dumps(reply).encode()
            if fault == "cut":
                self._send(200, body, said=len(body) + 100)
            else:
                self._send(200, body[: len(body) // 2] if fault == "half a body" else body)

    def _send(self, code: int, body: bytes, *, said: int | None = None, after: float = 0) -> None:
        with suppress(ConnectionError):  # who asked may have given up
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            if code == 429:
                self.send_header("Retry-After", str(after))
            self.send_header("Content-Length", str(said or len(body)))
            self.end_headers()
            self.wfile.write(body)
        self.close_connection = said is not None

    def log_message(self, format: str, *args: Any) -> None:
        """Not on the tests' screen."""


@contextmanager
def judge_server() -> Iterator[JudgeServer]:
    """Serve while the block runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    judge = JudgeServer(url=f"http://127.0.0.1:{server.server_address[1]}/v1")
    server.RequestHandlerClass = type("Handler", (_Handler,), {"judge": judge})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield judge
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
