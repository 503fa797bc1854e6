"""A judge of candidate tokens that reads: a respondent is asked about each prompt."""

from collections.abc import Generator, Sequence
from pathlib import Path

from pipeline.judging.answers import Answer, verdicts_on
from pipeline.judging.asking import Inquiry, Respondent
from pipeline.judging.cases import Case
from pipeline.judging.examples import Example
from pipeline.judging.journal import Journal, Usage
from store.documents.verdicts import Verdict


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
    examples, n
        Those that may go with a question, and how many do.
    """

    def __init__(
        self, name: str, respondent: Respondent, path: Path, examples: Sequence[Example] = (), n: int = 0
    ) -> None:
        self._inquiry = Inquiry(name, "prompt", respondent, Journal(path, Answer))
        self._examples = examples
        self._n = n
        self._cases: dict[str, list[Case]] = {}

    def prepare(self, cases: Sequence[Case]) -> None:
        """Find what must be asked."""
        keys = self._inquiry.prepare([verdicts_on(case, self._examples, self._n) for case in cases])
        for key, case in zip(keys, cases, strict=True):
            # Prompts with one text and the same candidates are one request.
            self._cases.setdefault(key, []).append(case)

    def verdicts(self) -> Generator[Verdict]:
        """Stored ones first, then the others as they arrive."""
        for key, answer in self._inquiry.answers():
            yield from (answer.verdict(case.prompt_hash) for case in self._cases[key])

    def usage(self) -> Usage:
        """Of the answers about its cases."""
        return self._inquiry.usage()

    def cost(self) -> float:
        """Of that."""
        return self._inquiry.cost()
