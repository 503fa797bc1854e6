"""What stands in a judge's journal is not asked again; the rest is, and is kept."""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import add
from pathlib import Path
from typing import Any, Generic, Literal, Protocol

from pipeline.judging.journal import Journal, K, Record, Usage, request_key
from pipeline.judging.replies import Reply
from pipeline.run.progress import counted

Messages = list[dict[str, str]]
"""A conversation: ``role`` and ``content`` of each turn."""


@dataclass(frozen=True)
class JsonForm:
    """The form of a reply that is one JSON object: its name, and its schema as structured output takes it."""

    name: str
    schema: Mapping[str, Any]


Wanted = JsonForm | Literal["token", "token, older", "text"]
"""What a reply is to be: a JSON object; one token and the probabilities of the likeliest (older services
know the limit of one token by another name); or text."""


@dataclass(frozen=True, kw_only=True)
class Request(Generic[K]):
    """What is to be sent, and how its reply is read.

    Attributes
    ----------
    body
        All that is sent: everything that the answer depends on, and nothing else.
    form
        Of what is kept of the reply.
    read
        Reads it; raises `pipeline.judging.answers.MalformedAnswerError`.
    output_tokens
        So many are expected.
    may_decline
        Whether a service that does not take the request has answered it: ``declined``.
    """

    body: Mapping[str, Any]
    form: type[K]
    read: Callable[[Reply], K]
    output_tokens: int
    may_decline: bool = False

    @cached_property
    def key(self) -> str:
        """As `pipeline.judging.journal.request_key`."""
        return request_key(self.body)


class Keep(Protocol):
    """Keeps an answer; returns when it is on disk. Any thread may call it."""

    def __call__(self, record: Record[Any], /) -> None: ...


class Respondent(Protocol):
    """Who answers requests: a service, or a model on this machine."""

    def body(self, said: Messages, wanted: Wanted) -> dict[str, Any]:
        """The body of a request for that conversation."""

    def ways(self) -> Sequence[Wanted]:
        """In which it may say one number, the best first; of several it must be tried which it can."""

    def require(self, requests: Sequence[Request[Any]]) -> None:
        """Say what it will take to answer these; errors as `pipeline.judging.protocol.Judge.prepare`."""

    def ask(self, requests: Sequence[Request[Any]], keep: Keep) -> Generator[str]:
        """Answer each, all of one form; yields the keys of those that are kept, as they arrive."""

    def price(self, usage: Usage) -> float:
        """What that costs."""


class Asking(Generic[K]):
    """A respondent, and the journal of what it answered.

    Parameters
    ----------
    name
        Of the judge; on the progress bar.
    respondent
        Who is asked.
    path
        The journal's file.
    form
        Of what it keeps.
    unit
        What a request is about, in a word.
    """

    def __init__(self, name: str, respondent: Respondent, path: Path, form: type[K], unit: str) -> None:
        self._name = name
        self._respondent = respondent
        self._journal = Journal(path, form)
        self._unit = unit

    def find(self, key: str) -> K | None:
        """What is kept of a request, whatever its status."""
        record = self._journal.find(key)
        return None if record is None else record.answer

    def missing(self, requests: Iterable[Request[K]]) -> list[Request[K]]:
        """Those that have no answer, or could not be reached; what is asked twice stands there once."""
        wanted = {request.key: request for request in requests}
        return [request for key, request in wanted.items() if not self._answered(key)]

    def require(self, requests: Sequence[Request[K]]) -> None:
        """Say what it will take to answer these, if any."""
        if requests:
            self._respondent.require(requests)

    def ask(self, requests: Sequence[Request[K]]) -> Generator[str]:
        """Answer each; yields keys as answers arrive, and sorts the journal in the end."""
        try:
            if requests:
                # Closed whatever happens to who reads the answers: no thread goes on asking.
                with (
                    closing(self._respondent.ask(requests, self._keep)) as arriving,
                    counted(len(requests), f"judge {self._name}", self._unit) as progress,
                ):
                    for key in arriving:
                        progress.update()
                        yield key
        finally:
            self._journal.tidy()

    def usage(self, keys: Iterable[str]) -> Usage:
        """What the answers to these requests took, ever."""
        return reduce(add, (record.usage for key in keys if (record := self._journal.find(key))), Usage())

    def price(self, usage: Usage) -> float:
        """What that cost."""
        return self._respondent.price(usage)

    def _answered(self, key: str) -> bool:
        found = self._journal.find(key)
        return found is not None and found.answer.status != "unreachable"

    def _keep(self, record: Record[K]) -> None:
        before = self._journal.find(record.key)
        usage = record.usage if before is None else before.usage + record.usage
        self._journal.add(record.model_copy(update={"usage": usage}))
