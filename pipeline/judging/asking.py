"""Questions put to judges: what stands in the journal is not asked again, the rest is, and is kept."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import reduce
from itertools import chain
from operator import add
from typing import Any, Generic, Protocol

from tqdm import tqdm

from pipeline.judging.journal import Journal, Record, Usage, request_key
from pipeline.judging.questions import A, Question


@dataclass(frozen=True, kw_only=True)
class Request(Generic[A]):
    """What is to be sent.

    Attributes
    ----------
    key
        As `pipeline.judging.journal.request_key`.
    body
        All that is sent.
    question
        Which says how the answer is read.
    """

    key: str
    body: Mapping[str, Any]
    question: Question[A]


class Keep(Protocol[A]):
    """Keeps an answer; returns when it is on disk. Any thread may call it."""

    def __call__(self, record: Record[A], /) -> None: ...


class Respondent(Protocol):
    """Who answers requests: a service, or a model on this machine."""

    def body(self, question: Question[Any]) -> dict[str, Any]:
        """The request: everything that the answer depends on, and nothing else."""

    def require(self, requests: Sequence[Request[Any]]) -> None:
        """Say what it will take to answer these; errors as `pipeline.judging.protocol.Judge.prepare`."""

    def ask(self, requests: Sequence[Request[A]], keep: Keep[A]) -> Generator[str]:
        """Answer each; yields the keys of those that are kept, as they arrive."""

    def price(self, usage: Usage) -> float:
        """What that costs."""


class Inquiry(Generic[A]):
    """Questions of one kind, the respondent that they are put to, and the journal of its answers.

    Parameters
    ----------
    name, unit
        Of the judge, and of what a question is about; on the progress bar.
    respondent
        Who is asked.
    journal
        What was answered.
    """

    def __init__(self, name: str, unit: str, respondent: Respondent, journal: Journal[A]) -> None:
        self._name = name
        self._unit = unit
        self._respondent = respondent
        self._journal = journal
        self._keys: dict[str, None] = {}
        self._missing: list[Request[A]] = []

    def prepare(
        self, questions: Sequence[Question[A]], follow: Sequence[Sequence[Question[A]]] = ()
    ) -> list[str]:
        """Find what must be asked: what has no answer, or could not be reached.

        Parameters
        ----------
        questions
            All of them.
        follow
            What each will bring about once it is answered, near enough: limits are held against that, too.

        Returns
        -------
        list of str
            The key of each; equal questions are one request, and have one.

        Raises
        ------
        UserError
            As `pipeline.judging.protocol.Judge.prepare`.
        """
        requests = [self._request(question) for question in questions]
        later: list[Request[A]] = []
        for number, request in enumerate(requests):
            if request.key not in self._keys and not self._answered(request.key):
                self._missing.append(request)
                later += map(self._request, chain.from_iterable(follow[number : number + 1]))
            self._keys[request.key] = None
        if self._missing:
            self._respondent.require([*self._missing, *later])
        return [request.key for request in requests]

    def answers(self) -> Generator[tuple[str, A]]:
        """Answers by key: stored ones first, then the others as they arrive."""
        missing = {request.key for request in self._missing}
        for key in self._keys:
            if key not in missing:
                yield from self._found(key)
        try:
            yield from self._asked()
        finally:
            self._journal.tidy()

    def usage(self) -> Usage:
        """Of the answers to its questions."""
        return reduce(
            add, (record.usage for key in self._keys if (record := self._journal.find(key))), Usage()
        )

    def cost(self) -> float:
        """Of that."""
        return self._respondent.price(self.usage())

    def _request(self, question: Question[A]) -> Request[A]:
        body = self._respondent.body(question)
        return Request(key=request_key(body), body=body, question=question)

    def _asked(self) -> Iterator[tuple[str, A]]:
        if not self._missing:
            return
        # Closed whatever happens to who reads the answers: no thread goes on asking.
        with (
            closing(self._respondent.ask(self._missing, self._keep)) as arriving,
            tqdm(total=len(self._missing), desc=f"judge {self._name}", unit=self._unit) as progress,
        ):
            for key in arriving:
                progress.update()
                yield from self._found(key)

    def _answered(self, key: str) -> bool:
        found = self._journal.find(key)
        return found is not None and found.answer.status != "unreachable"

    def _keep(self, record: Record[A]) -> None:
        before = self._journal.find(record.key)
        usage = record.usage if before is None else before.usage + record.usage
        self._journal.add(record.model_copy(update={"usage": usage}))

    def _found(self, key: str) -> Iterator[tuple[str, A]]:
        record = self._journal.find(key)
        if record is not None:
            yield key, record.answer
