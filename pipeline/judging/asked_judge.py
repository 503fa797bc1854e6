"""A judge of candidate tokens that is asked."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final

from pipeline.judging.answers import Answer, parse_answer
from pipeline.judging.asking import Asking, JsonForm, Request, Respondent
from pipeline.judging.cases import Case
from pipeline.judging.examples import Example, chosen
from pipeline.judging.journal import Usage
from pipeline.judging.messages import SCHEMA, messages
from pipeline.judging.replies import Reply
from store.documents.verdicts import Verdict

_FORM: Final = JsonForm("verdicts", SCHEMA)
_TOKENS_A_VERDICT: Final = 60
"""A reason of 25 words, the label and what JSON needs."""
_TOKENS_AN_ANSWER: Final = 30
"""What an answer has beside its verdicts."""


class AskedJudge:
    """A judge of the protocol, made of a respondent and a journal.

    Parameters
    ----------
    name
        Of the judge.
    respondent
        Who is asked.
    path
        The journal's file.
    examples, shown
        Those that may go with a request, and at most how many do.
    """

    def __init__(
        self,
        name: str,
        respondent: Respondent,
        path: Path,
        examples: Sequence[Example] = (),
        shown: int = 0,
    ) -> None:
        self._respondent = respondent
        self._examples = examples
        self._shown = shown
        self._asking = Asking(name, respondent, path, Answer, "prompt")
        self._cases: dict[str, list[Case]] = {}
        self._missing: list[Request[Answer]] = []

    def prepare(self, cases: Sequence[Case]) -> None:
        """Find what must be asked: what has no answer, or could not be reached."""
        requests = []
        for case in cases:
            request = self._request(case)
            requests.append(request)
            # Prompts with one text and the same candidates are one request.
            self._cases.setdefault(request.key, []).append(case)
        self._missing = self._asking.missing(requests)
        self._asking.require(self._missing)

    def verdicts(self) -> Generator[Verdict]:
        """Stored ones first, then the others as they arrive."""
        missing = {request.key for request in self._missing}
        for key in self._cases:
            if key not in missing:
                yield from self._verdicts(key)
        with closing(self._asking.ask(self._missing)) as arriving:
            for key in arriving:
                yield from self._verdicts(key)

    def usage(self) -> Usage:
        """Of the answers about its cases."""
        return self._asking.usage(self._cases)

    def cost(self) -> float:
        """Of that."""
        return self._asking.price(self.usage())

    def _request(self, case: Case) -> Request[Answer]:
        said = messages(case, chosen(self._examples, case, self._shown))
        tokens = tuple(each.token for each in case.candidates)
        return Request(
            body=self._respondent.body(said, _FORM),
            form=Answer,
            read=partial(_read, tokens=tokens),
            output_tokens=_TOKENS_A_VERDICT * len(tokens) + _TOKENS_AN_ANSWER,
        )

    def _verdicts(self, key: str) -> Iterator[Verdict]:
        answer = self._asking.find(key)
        if answer is not None:
            yield from (answer.verdict(case.prompt_hash) for case in self._cases[key])


def _read(reply: Reply, tokens: Sequence[int]) -> Answer:
    return parse_answer(reply.text, tokens)
