"""Who drafts prompts: templates of the profile, or a model that is asked as judges are."""

import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from pipeline.discover.messages import messages, schema
from pipeline.discover.shape import text_of
from pipeline.discover.spending import NOTHING, Spent, limited
from pipeline.discover.template_files import Entry
from pipeline.discover.told import Told
from pipeline.discover.written import Written, read_draft, read_written
from pipeline.judging.asking import Asking, JsonForm, Request
from pipeline.judging.journal import request_key
from pipeline.judging.reading import MalformedAnswerError
from pipeline.judging.registry import make_respondent
from pipeline.params.discover import TEMPLATES, DiscoverParams, Kind
from pipeline.params.judges import LocalJudge, OpenAIJudge
from pipeline.params.runtime import RuntimeParams
from store.documents.discovery import Begun, Draft

_TOKENS_A_PROMPT: Final = 60
"""Of an answer: the prompt, what it is about, and what JSON needs."""
_FORM: Final = "prompts"


@dataclass(frozen=True, kw_only=True)
class Given:
    """What a generator gave for a round.

    Attributes
    ----------
    status, detail
        Of the answer; ``written``: there are drafts.
    drafts
        In order; of one that cannot be read, what is wrong.
    spent
        What the answer took, in earlier runs, too.
    """

    status: str = "written"
    detail: str = ""
    drafts: Sequence[Draft | str] = field(default_factory=tuple)
    spent: Spent = NOTHING


class Generator(Protocol):
    """Drafts prompts, a round at a time."""

    def begin(self, number: int, kind: Kind, seen: Collection[str]) -> Begun | None:
        """Say what a round will ask, or give, which is then on the disk; None: there is nothing more.

        Parameters
        ----------
        seen
            Texts that are known, as `pipeline.discover.shape.text_of` has them.
        """

    def give(self, begun: Begun, left: Spent) -> Given:
        """The drafts of a round.

        Raises
        ------
        LimitError
            What is left does not do.
        UserError
            It cannot go on; what was answered is kept.
        """

    def spent(self, begun: Begun) -> Spent:
        """What the round's request has taken, ever."""


class Templates:
    """Fills templates, in an order that a seed decides; what is known already is left out.

    Situations come in turn, each in another wording, so that the first drafts are about many things.
    """

    def __init__(self, entries: Sequence[Entry], params: DiscoverParams, seed: int) -> None:
        self._entries = entries
        self._n = params.a_round
        self._seed = seed

    def begin(self, number: int, kind: Kind, seen: Collection[str]) -> Begun | None:
        """The next drafts of a kind."""
        fresh = [draft for draft in self._ordered(kind) if text_of(draft.words()) not in seen]
        if not fresh:
            return None
        return Begun(number=number, generator=TEMPLATES, kind=kind, drafts=tuple(fresh[: self._n]))

    def give(self, begun: Begun, left: Spent) -> Given:
        """What the round was begun with."""
        return Given(drafts=begun.drafts)

    def spent(self, begun: Begun) -> Spent:
        """Nothing."""
        return Spent()

    def _ordered(self, kind: Kind) -> list[Draft]:
        rng = random.Random(f"{self._seed}/discover/{kind}")
        by_situation: dict[str, list[Draft]] = {}
        for entry in self._entries:
            if entry.kind == kind:
                for draft in entry.drafts():
                    by_situation.setdefault(draft.situation or "", []).append(draft)
        groups = list(by_situation.values())
        rng.shuffle(groups)
        for group in groups:
            rng.shuffle(group)
        longest = max(map(len, groups), default=0)
        return [group[turn] for turn in range(longest) for group in groups if turn < len(group)]


class AskedWriter:
    """A model that writes prompts.

    Parameters
    ----------
    name, judge
        Its name in ``judges``, and its parameters there.
    params, runtime
        Of ``params.yaml``.
    folder
        Where what it answered is kept.
    domains
        That a prompt may name.
    told
        Gives what a round shows of earlier prompts, as people have settled them by then.
    """

    def __init__(
        self,
        name: str,
        judge: OpenAIJudge | LocalJudge,
        params: DiscoverParams,
        runtime: RuntimeParams,
        folder: Path,
        domains: Sequence[str],
        told: Callable[[], Told],
    ) -> None:
        self._name = name
        self._judge = judge
        self._params = params
        self._runtime = runtime
        self._path = folder / f"{name}.jsonl"
        self._domains = domains
        self._told = told
        # A model in a folder is loaded once; a client of a service is made anew with what is left of a limit.
        self._local = make_respondent(name, judge, runtime) if isinstance(judge, LocalJudge) else None

    def begin(self, number: int, kind: Kind, seen: Collection[str]) -> Begun:
        """What is asked in a round: it never ends, for no round asks what another does."""
        n, longest = self._params.a_round, self._params.max_tokens
        said = messages(number, kind, n, longest, self._domains, self._told())
        body = self._respondent(Spent()).body(said, JsonForm(_FORM, schema(kind, self._domains)))
        return Begun(number=number, generator=self._name, kind=kind, request=request_key(body), body=body)

    def give(self, begun: Begun, left: Spent) -> Given:
        """Ask, unless it has answered, and read what it wrote."""
        asking, request = self._asking(left), self._request(begun)
        missing = asking.missing([request])
        asking.require(missing)
        for _ in asking.ask(missing):
            pass
        answer = asking.find(request.key)
        spent = self._price(asking, request)
        if answer is None:
            return Given(status="unreachable", detail="it gave no answer", spent=spent)
        drafts: list[Draft | str] = []
        for plain in answer.prompts[: self._params.a_round]:
            try:
                drafts.append(read_draft(plain, begun.kind))  # type: ignore[arg-type]  # written by `begin`
            except MalformedAnswerError as error:
                drafts.append(str(error))
        beyond = len(answer.prompts) - len(drafts)
        detail = answer.detail or (f"{beyond} more than asked for are left out" if beyond else "")
        return Given(status=answer.status, detail=detail, drafts=drafts, spent=spent)

    def spent(self, begun: Begun) -> Spent:
        """What the round's request has taken, ever."""
        return self._price(self._asking(Spent()), self._request(begun))

    def _respondent(self, left: Spent) -> Any:
        if self._local is not None:
            return self._local
        return make_respondent(self._name, limited(self._judge, left), self._runtime)

    def _asking(self, left: Spent) -> Asking[Written]:
        return Asking(self._name, self._respondent(left), self._path, Written, "round")

    def _request(self, begun: Begun) -> Request[Written]:
        tokens = _TOKENS_A_PROMPT * self._params.a_round
        return Request(body=begun.body or {}, form=Written, read=read_written, output_tokens=tokens)

    def _price(self, asking: Asking[Written], request: Request[Written]) -> Spent:
        usage = asking.usage([request.key])
        return Spent(usage.calls, asking.price(usage))
