"""A service on loopback that judges tokens and answers, and fails in every way on demand."""

import hashlib
import json
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Literal

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
    "403": {"message": "You are not allowed to request logprobs from this model"},
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
    return _told({"fit": True, "rule": "none", "verdicts": verdicts[::-1]}, fault)


def name_answer(task: Mapping[str, Any], fault: str = "") -> str:
    """What the model writes of a feature: its name is the first token on which it fires."""
    if "promotes" in task:
        token = next(each[0] for each in task["contexts"][0] if isinstance(each, list))
        return _told({"name": 7} if fault == "type" else {"name": f"the word{token}"}, fault)
    said = [
        {"context": each["context"], "active": task["name"] == f"the word{each['token']}"}
        for each in task["contexts"]
    ]
    if fault == "missing":
        said.pop()
    return _told({"contexts": said[::-1]}, fault)


def asked_about(task: Mapping[str, Any]) -> str:
    """What a task is about: a prompt's text, a feature's name or first context, or a round of drafts."""
    if "round" in task:
        return f"round {task['round']}"
    if "text" in task:
        return str(task["text"])
    return f"name {task['name']}" if "name" in task else f"contexts {json.dumps(task['contexts'][0])}"


def _told(answer: Mapping[str, Any], fault: str) -> str:
    said = json.dumps(answer)
    if fault.endswith("prose"):
        return "I would say that all of them are fine."
    return said[: len(said) // 2] if fault in {"half", "length"} else said


Top = Sequence[tuple[str, float]]
"""Tokens and their probabilities, the likeliest first."""


def top_of(text: str) -> Top:
    """What may be the first token of a score, by default: two numbers, a word, and a split one."""
    if "99 + 1" in text:
        return [("100", 0.9), ("1", 0.05)]
    first, second = hashlib.sha256(text.encode()).digest()[:2]
    return [(f" {first % 101}", 0.5), (str(second % 101), 0.25), ("The", 0.125), ("CO", 0.0625)]


def number_of(text: str) -> str:
    """What is written where no probabilities are given."""
    return top_of(text)[0][0].strip()


@dataclass
class JudgeServer:
    """What it is asked, and what it does then.

    Attributes
    ----------
    url
        Its ``base_url``.
    fault
        From what is asked about, and how often that was asked before, to a fault, or "" for none; may take
        its time.
    top, number
        Of the judged text: the likeliest first tokens, and what is written where they are not given.
    gives
        Probabilities: to who asks; only with ``max_tokens``; none, silently; or it refuses who asks.
    drafts
        What it writes where prompts are asked for, by the round.
    received
        Path, headers and body of each request, in the order of arrival.
    """

    url: str
    fault: Callable[[str, int], str] = lambda text, before: ""
    top: Callable[[str], Top] = top_of
    number: Callable[[str], str] = number_of
    gives: Literal["all", "older", "none", "refuses"] = "all"
    drafts: Callable[[int], Any] = lambda number: []
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

    def _take(
        self, path: str, headers: Mapping[str, str], body: dict[str, Any]
    ) -> tuple[Mapping[str, Any] | None, str, str]:
        said = (body["messages"] if "messages" in body else body["input"])[-1]["content"]
        task = None
        if "response_format" in body or "text" in body:
            task = json.loads(said.splitlines()[-1])
            said = asked_about(task)
        with self._lock:
            self.received.append((path, headers, body))
            before = self._asked[said]
            self._asked[said] += 1
        return task, said, self._refusal(body) or self.fault(said, before)

    def _refusal(self, body: dict[str, Any]) -> str:
        """Whether what is asked for is something that it does not do."""
        if "top_logprobs" in body and self.gives == "refuses":
            return "403"
        return "400" if "max_completion_tokens" in body and self.gives == "older" else ""

    def _answer(
        self, task: Mapping[str, Any] | None, said: str, fault: str, body: dict[str, Any]
    ) -> tuple[str, Any]:
        """What is written, and the probabilities of its one token, where they are asked for."""
        if task is not None:
            if "round" in task:
                return _told({"prompts": self.drafts(task["round"])}, fault), None
            if "candidates" not in task:
                return name_answer(task, fault), None
            return answer_of([each["token"] for each in task["candidates"]], fault), None
        if "top_logprobs" not in body or self.gives == "none":
            return self.number(said), None
        top = self.top(said)
        listed = [{"token": token, "logprob": math.log(p), "bytes": list(token.encode())} for token, p in top]
        return top[0][0], [listed[0] | {"top_logprobs": listed}]


def _chat(text: str, fault: str, probabilities: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": text, "refusal": None}
    if fault == "refusal":
        message |= {"content": None, "refusal": "I cannot help with that."}
    logprobs = None if probabilities is None else {"content": probabilities, "refusal": None}
    finish = {"length": "length", "filter": "content_filter"}.get(fault, "stop")
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "judge-2026",
        "choices": [{"index": 0, "finish_reason": finish, "message": message, "logprobs": logprobs}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
    }


def _response(text: str, fault: str, probabilities: Any) -> dict[str, Any]:
    part: dict[str, Any] = {"type": "output_text", "text": text, "annotations": []}
    if probabilities is not None:
        part["logprobs"] = probabilities
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
        asked = json.loads(content)
        task, about, fault = self.judge._take(self.path, headers, asked)
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
            text, probabilities = self.judge._answer(task, about, fault, asked)
            if fault == "give the key as a reason":
                text = text.replace("It is", headers["authorization"]).replace(
                    "the word", headers["authorization"]
                )
            reply = form(text, fault, None if fault == "no probabilities" else probabilities)
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
