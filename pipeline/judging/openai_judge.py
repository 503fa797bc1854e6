"""A model behind OpenAI's interface, or a compatible one: the official SDK, and every fault of a network.

Requests are bodies that are posted as they are, so that their digest is of what was sent, and
replies are read by `pipeline.judging.replies`, which trusts them in nothing.
"""

import os
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any, Final

import httpx2
from openai import APIConnectionError, APIStatusError, APITimeoutError, OpenAI
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_after_attempt,
    stop_when_event_set,
)

from pipeline.judging.asking import Keep, Messages, Request, Wanted
from pipeline.judging.budget import Budget, price, require_within
from pipeline.judging.journal import K, Record, Usage
from pipeline.judging.openai_bodies import request_body, ways
from pipeline.judging.reading import MalformedAnswerError
from pipeline.judging.replies import read_chat, read_response
from pipeline.params.judges import OpenAIJudge
from store.base.errors import UserError
from store.base.parsing import one_line

_LONGEST_WAIT: Final = 60.0
"""Seconds between two attempts, whatever the service asks for."""
_AGAIN: Final = frozenset({408, 409, 429, *range(500, 600)})
"""HTTP codes of what may go well the next time."""
_FILTERS: Final = frozenset({"content_filter", "content_policy_violation"})
"""Error codes of a refusal."""
_SECRET: Final = 8
"""Characters from which on a key is one, not a word such as "none" that a server of one's own is given."""
_NO_MONEY: Final = "insufficient_quota"
_ENDED: Final = "the run ended before it was answered"
_UNREACHABLE: Final = "unreachable"
_PLACES: Final = {"chat": ("/chat/completions", read_chat), "responses": ("/responses", read_response)}
"""Of each interface: where requests go, and what reads a reply."""


class _FailedError(Exception):
    """An attempt that may go well the next time; the message becomes the record's detail."""

    def __init__(
        self, status: str, detail: str, *, after: float = 0.0, nobody: bool = False, raw: str = ""
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.after = after
        self.nobody = nobody
        self.raw = raw


@dataclass
class _Tally:
    """What the attempts at one request took, and who answered last."""

    usage: Usage
    model: str = ""


class Service:
    """Answers requests by calls of a service, several at once.

    Parameters
    ----------
    name
        Of the judge.
    params
        Of ``params.yaml``.
    """

    def __init__(self, name: str, params: OpenAIJudge) -> None:
        self._name = name
        self._params = params
        self._path, self._read = _PLACES[params.api]
        self._budget = Budget(name, params)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._nobody = 0  # requests, one after the other
        self._patience = params.concurrency

    def body(self, said: Messages, wanted: Wanted) -> dict[str, Any]:
        """The body as it is posted."""
        return request_body(self._params, said, wanted)

    def ways(self) -> Sequence[Wanted]:
        """Which of them a service knows is not written down anywhere."""
        return ways(self._params)

    def require(self, requests: Sequence[Request[Any]]) -> None:
        """A key, and limits that are wide enough; tells how many calls are to be made, and their price."""
        self._key()
        cost = require_within(self._name, requests, self._params)
        print(
            f"judge {self._name}: {len(requests):,} calls of {self._params.model} at {self._address}, for "
            f"about {cost:,.2f}; at most {self._params.max_calls:,} calls for {self._params.max_cost:,.2f}",
            flush=True,
        )

    def ask(self, requests: Sequence[Request[Any]], keep: Keep) -> Generator[str]:
        """Send each until it is answered; what could not be is kept with its status."""
        params = self._params
        self._stop.clear()
        self._patience = min(params.concurrency, len(requests))
        client = OpenAI(api_key=self._key(), base_url=params.base_url, timeout=params.timeout, max_retries=0)
        with client, ThreadPoolExecutor(params.concurrency) as pool:
            answers = [pool.submit(self._answer, client, request, keep) for request in requests]
            try:
                for answer in as_completed(answers):
                    yield answer.result()
            finally:
                # Who leaves early waits for the calls in flight, which are paid; no other is made.
                self._stop.set()

    def price(self, usage: Usage) -> float:
        """At the prices of ``params.yaml``."""
        return price(usage, self._params)

    @property
    def _address(self) -> str:
        return self._params.base_url or "the SDK's default address"

    def _key(self) -> str:
        name = self._params.key
        key = os.environ.get(name, "").strip()
        if not key:
            raise UserError(
                f"judges.{self._name}: the environment has no {name}, and there are answers to ask for; "
                "export the key under that name."
            )
        if not (key.isascii() and key.isprintable() and " " not in key):
            raise UserError(f"judges.{self._name}: {name} holds characters that no key has; export it again.")
        return key

    def _answer(self, client: OpenAI, request: Request[Any], keep: Keep) -> str:
        try:
            self._answer_and_keep(client, request, keep)
        except UserError:
            # At once, and not only when who reads the answers comes to this one.
            self._stop.set()
            raise
        return request.key

    def _answer_and_keep(self, client: OpenAI, request: Request[Any], keep: Keep) -> None:
        tally = _Tally(Usage())
        retrying = Retrying(
            stop=stop_after_attempt(self._params.attempts) | stop_when_event_set(self._stop),
            wait=self._wait,
            sleep=sleep_using_event(self._stop),
            retry=retry_if_exception_type(_FailedError),
            reraise=True,
        )
        # Where the run ends meanwhile, what this request has cost is kept all the same.
        answer, raw, nobody, why = request.form.failed(_UNREACHABLE, _ENDED), "", False, _ENDED
        try:
            answer = retrying(self._attempt, client, request, tally)
        except _FailedError as error:
            answer = request.form.failed(error.status, str(error))
            raw, nobody, why = error.raw, error.nobody, str(error)
        finally:
            if tally.usage.calls:
                keep(Record(key=request.key, answer=answer, raw=raw, model=tally.model, usage=tally.usage))
        self._require_somebody(nobody, why)

    def _attempt(self, client: OpenAI, request: Request[K], tally: _Tally) -> K:
        if self._stop.is_set():
            raise _FailedError(_UNREACHABLE, _ENDED)
        self._budget.call()
        tally.usage += Usage(calls=1)
        try:
            response = client.post(self._path, cast_to=httpx2.Response, body=dict(request.body))
        except APITimeoutError as error:
            nobody = isinstance(error.__cause__, httpx2.ConnectTimeout)
            self._spend_unseen(request, nobody)
            raise _FailedError(
                _UNREACHABLE, f"no answer within {self._params.timeout:g} seconds", nobody=nobody
            ) from error
        except APIConnectionError as error:
            nobody = isinstance(error.__cause__, httpx2.ConnectError | httpx2.UnsupportedProtocol)
            self._spend_unseen(request, nobody)
            raise _FailedError(_UNREACHABLE, self._said(error.__cause__ or error), nobody=nobody) from error
        except APIStatusError as error:
            return self._refused(request, error)
        try:
            reply = self._read(response.content)
        except MalformedAnswerError as error:
            self._budget.spend(request, None)
            raise self._malformed(str(error), response.text) from error
        tally.usage += reply.usage or Usage()
        tally.model = self._redacted(reply.model)
        self._budget.spend(request, reply.usage)
        if reply.refusal is not None:
            return request.form.failed("refused", self._redacted(one_line(reply.refusal)))
        try:
            answer = request.read(reply)
        except MalformedAnswerError as error:
            what = f"it was cut where it was too long; {error}" if reply.cut else str(error)
            raise self._malformed(what, reply.text) from error
        return answer.redacted(self._redacted)

    def _spend_unseen(self, request: Request[Any], nobody: bool) -> None:
        """Count an answer that did not arrive, but may have been made, and charged."""
        if not nobody:
            self._budget.spend(request, None)

    def _refused(self, request: Request[K], error: APIStatusError) -> K:
        """What an HTTP error means: an answer of its own; or it raises what tells whether to ask again."""
        code, said = error.status_code, self._said(error)
        if error.code in _FILTERS:
            return request.form.failed("refused", said)
        if code in _AGAIN and error.code != _NO_MONEY:
            raise _FailedError(_UNREACHABLE, said, after=_seconds(error.response.headers)) from error
        if request.may_decline and code != 401 and error.code != _NO_MONEY:
            return request.form.failed("declined", f"HTTP {code}")
        if code in {401, 403}:
            # Not quoted: some services repeat the key.
            raise UserError(
                f"judges.{self._name}: {self._address} does not take the key in {self._params.key} (HTTP "
                f"{code}); export one that it takes."
            ) from None
        raise UserError(
            f"judges.{self._name}: {self._address} does not take the request ({said}); mend the judge in "
            "params.yaml, or its account; what was answered is kept."
        ) from None

    def _require_somebody(self, nobody: bool, said: str) -> None:
        """End the run where one request after the other finds nobody at the address."""
        with self._lock:
            self._nobody = self._nobody + 1 if nobody else 0
            if self._nobody < self._patience:
                return
        raise UserError(
            f"judges.{self._name}: nobody answers at {self._address} ({said}); check base_url in "
            "params.yaml and the network; what was answered is kept."
        )

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        after = error.after if isinstance(error, _FailedError) else 0.0
        doubled = self._params.backoff * 2.0 ** (state.attempt_number - 1)
        return min(_LONGEST_WAIT, max(doubled, after))

    def _malformed(self, what: str, raw: str) -> _FailedError:
        return _FailedError("malformed", self._redacted(what), raw=self._redacted(raw))

    def _said(self, error: BaseException) -> str:
        return one_line(self._redacted(str(error)))

    def _redacted(self, text: str) -> str:
        """Without the key, should a service repeat it: it is written nowhere."""
        key = self._key()
        return text if len(key) < _SECRET else text.replace(key, "***")


def _seconds(headers: httpx2.Headers) -> float:
    """How long a service asks to wait, where it says so in seconds."""
    try:
        return float(headers.get("retry-after", ""))
    except ValueError:
        return 0.0
