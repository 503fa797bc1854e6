"""Judges that are asked: what stands in the journal is not asked again, the rest is, and is kept."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any, Protocol

from tqdm import tqdm

from pipeline.judging.cases import Case
from pipeline.judging.journal import Journal, Record, Usage, request_key
from store.documents.verdicts import Verdict


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is to be sent.

    Attributes
    ----------
    key
        As `pipeline.judging.journal.request_key`.
    body
        All that is sent.
    tokens
        Ids of the candidates, which the answer must have.
    """

    key: str
    body: Mapping[str, Any]
    tokens: tuple[int, ...]


Keep = Callable[[Record], None]
"""Keeps an answer; returns when it is on disk. Any thread may call it."""


class Respondent(Protocol):
    """Who answers requests: a service, or a model on this machine."""

    def body(self, case: Case) -> dict[str, Any]:
        """The request about a case: everything that the answer depends on, and nothing else."""

    def require(self, requests: Sequence[Request]) -> None:
        """Say what it will take to answer these; errors as `pipeline.judging.protocol.Judge.prepare`."""

    def ask(self, requests: Sequence[Request], keep: Keep) -> Generator[str]:
        """Answer each; yields the keys of those that are kept, as they arrive."""

    def price(self, usage: Usage) -> float:
        """What that costs."""


class AskedJudge:
    """A judge of the protocol, made of a respondent and a journal.

    Parameters
    ----------
    name
        Of the judge; on the progress bar.
    respondent
        Who is asked.
    path
        The journal's file.
    """

    def __init__(self, name: str, respondent: Respondent, path: Path) -> None:
        self._name = name
        self._respondent = respondent
        self._journal = Journal(path)
        self._cases: dict[str, list[Case]] = {}
        self._missing: list[Request] = []

    def prepare(self, cases: Sequence[Case]) -> None:
        """Find what must be asked: what has no answer, or could not be reached."""
        for case in cases:
            body = self._respondent.body(case)
            request = Request(
                key=request_key(body), body=body, tokens=tuple(each.token for each in case.candidates)
            )
            # Prompts with one text and the same candidates are one request.
            if request.key not in self._cases and not self._answered(request.key):
                self._missing.append(request)
            self._cases.setdefault(request.key, []).append(case)
        if self._missing:
            self._respondent.require(self._missing)

    def verdicts(self) -> Generator[Verdict]:
        """Stored ones first, then the others as they arrive."""
        missing = {request.key for request in self._missing}
        for key in self._cases:
            if key not in missing:
                yield from self._verdicts(key)
        try:
            yield from self._asked()
        finally:
            self._journal.tidy()

    def usage(self) -> Usage:
        """Of the answers about its cases."""
        return reduce(
            add, (record.usage for key in self._cases if (record := self._journal.find(key))), Usage()
        )

    def cost(self) -> float:
        """Of that."""
        return self._respondent.price(self.usage())

    def _asked(self) -> Iterator[Verdict]:
        if not self._missing:
            return
        # Closed whatever happens to who reads the verdicts: no thread goes on asking.
        with (
            closing(self._respondent.ask(self._missing, self._keep)) as arriving,
            tqdm(total=len(self._missing), desc=f"judge {self._name}", unit="prompt") as progress,
        ):
            for key in arriving:
                progress.update()
                yield from self._verdicts(key)

    def _answered(self, key: str) -> bool:
        found = self._journal.find(key)
        return found is not None and found.answer.status != "unreachable"

    def _keep(self, record: Record) -> None:
        before = self._journal.find(record.key)
        usage = record.usage if before is None else before.usage + record.usage
        self._journal.add(record.model_copy(update={"usage": usage}))

    def _verdicts(self, key: str) -> Iterator[Verdict]:
        record = self._journal.find(key)
        if record is not None:
            yield from (record.answer.verdict(case.prompt_hash) for case in self._cases[key])
