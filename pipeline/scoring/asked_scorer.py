"""A judge of answers that is asked: by one token and its probabilities where it can, else in text."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from pipeline.analysis.judge_scores import Scored, read_distribution, read_text, splits_no_number
from pipeline.judging.asking import Asking, Request, Respondent, Wanted
from pipeline.judging.journal import Usage
from pipeline.scoring.heard import Heard, conversation, hear, hear_text, hear_token, probe
from pipeline.scoring.protocol import OpenAnswer, Scores
from store.base.errors import UserError

_OUTPUT_TOKENS: Final[Mapping[Wanted, int]] = {"token": 16, "token, older": 1, "text": 200}
"""Expected of an answer, to the high side: the Responses API writes 16, and who gives no probabilities
may think before it writes."""


class AskedScorer:
    """A judge of the protocol, made of a respondent and a journal.

    Whether a service gives probabilities, and of whole numbers, is tried once, before the first answer; what
    it said then is kept with the rest.

    Parameters
    ----------
    name
        Of the judge.
    respondent
        Who is asked.
    path
        The journal's file.
    min_mass
        Probability on numbers below which there is no score.
    """

    def __init__(self, name: str, respondent: Respondent, path: Path, min_mass: float) -> None:
        self._name = name
        self._respondent = respondent
        self._asking = Asking(name, respondent, path, Heard, "score")
        self._min_mass = min_mass
        self._answers: Sequence[OpenAnswer] = ()
        self._ways: Sequence[Wanted] = respondent.ways()
        self._way: Wanted | None = None
        self._requests: dict[tuple[int, str], Request[Heard]] = {}

    def prepare(self, answers: Sequence[OpenAnswer]) -> None:
        """Find what must be asked; as long as no way was tried, the best is taken for possible."""
        self._answers = answers
        self._way = self._known_way()
        self._requests = self._made(self._way or self._ways[0])
        probes = [] if self._way else [each for each in self._probes() if not self._told(each)]
        self._asking.require([*probes, *self._asking.missing(self._requests.values())])

    def scores(self) -> Scores:
        """Stored ones and others, when all have arrived."""
        if self._way is None:
            self._try_ways()
        way = self._way or self._ways[-1]
        for _ in self._asking.ask(self._asking.missing(self._requests.values())):
            pass
        return {place: self._read(request, way) for place, request in self._requests.items()}

    def method(self) -> str:
        """By probabilities, or in text."""
        return "text" if self._way == "text" else "logprobs"

    def usage(self) -> Usage:
        """Of the answers, and of trying."""
        asked = [*self._probes(), *self._requests.values()]
        return self._asking.usage({request.key for request in asked})

    def cost(self) -> float:
        """Of that."""
        return self._asking.price(self.usage())

    def _known_way(self) -> Wanted | None:
        """The best way that works; the last needs no trying. None: one must be tried."""
        for way, request in zip(self._ways, self._probes(), strict=False):
            heard = self._told(request)
            if heard is None:
                return None
            if heard.top is not None and splits_no_number(heard.top):
                return way
        return self._ways[-1]

    def _try_ways(self) -> None:
        """Try one after the other.

        Raises
        ------
        UserError
            There was no answer that tells; or what is to be asked then passes a limit.
        """
        for request in self._probes():
            for _ in self._asking.ask([] if self._told(request) else [request]):
                pass
            if self._told(request) is None:
                heard = self._asking.find(request.key)
                raise UserError(
                    f"judges.{self._name}: whether it gives probabilities could not be told "
                    f"({heard.detail if heard else 'it was not asked'}); what was answered is kept, so run "
                    "again."
                )
            self._way = self._known_way()
            if self._way is not None:
                break
        if self._way != self._ways[0]:
            self._requests = self._made(self._way or self._ways[-1])
            self._asking.require(self._asking.missing(self._requests.values()))

    def _told(self, request: Request[Heard]) -> Heard | None:
        """What trying a way showed; None: nothing yet."""
        heard = self._asking.find(request.key)
        return None if heard is None or heard.status in {"malformed", "unreachable"} else heard

    def _probes(self) -> list[Request[Heard]]:
        """One for each way that must be tried."""
        return [
            Request(
                body=self._respondent.body(probe(), way),
                form=Heard,
                read=hear,
                output_tokens=_OUTPUT_TOKENS[way],
                may_decline=True,
            )
            for way in self._ways[:-1]
        ]

    def _made(self, way: Wanted) -> dict[tuple[int, str], Request[Heard]]:
        return {
            (place, scale): Request(
                body=self._respondent.body(conversation(prompt, answer.asked, answer.text), way),
                form=Heard,
                read=hear_text if way == "text" else hear_token,
                output_tokens=_OUTPUT_TOKENS[way],
            )
            for place, answer in enumerate(self._answers)
            for scale, prompt in answer.question.judge_prompts.items()
        }

    def _read(self, request: Request[Heard], way: Wanted) -> Scored:
        heard = self._asking.find(request.key)
        if heard is None or heard.status != "answered":
            return Scored(status="unreachable" if heard is None else heard.status)
        return read_text(heard.text) if way == "text" else read_distribution(heard.top or (), self._min_mass)
