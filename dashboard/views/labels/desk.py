"""What lies before a person who labels: the prompts of a profile, their journal, and their queue."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from dashboard.data import documents, labelling, project
from dashboard.live import models
from pipeline.analysis.label_queue import DISAGREE, EVIL_DIVERGENT, RANDOM, Draw
from pipeline.labels.author import author
from pipeline.labels.candidates import Own, candidates_of
from pipeline.labels.events import Event, RejectionEvent, TokenEvent
from pipeline.labels.own_queue import Queue, queue
from pipeline.labels.resolution import LEXICON
from pipeline.labels.session import Task
from pipeline.labels.standing import Standing, by_prompt, standing
from pipeline.text.lexicon import labels_on
from store.base.errors import StoreError, UserError
from store.documents.prompts import Prompt

_NOBODY_CHOSE: Final[tuple[int, Mapping[str, float]]] = (0, {EVIL_DIVERGENT: 0.0, DISAGREE: 0.0, RANDOM: 1.0})
"""Seed and shares where there is no ``params.yaml``: of all prompts alike, and the draws repeat."""


@dataclass(frozen=True, kw_only=True)
class Desk:
    """One person's labels of a profile, as the journal has them now.

    Attributes
    ----------
    author
        None where nobody is named: nothing can be written.
    problem
        Why nothing can be written, in a sentence; else empty.
    prompts, own
        By prompt hash: those that base and the focus variant have candidates on.
    journal, events
        The person's events, in order, and by prompt hash.
    standings
        By prompt hash, of prompts with events.
    """

    profile: str
    author: str | None
    problem: str
    prompts: Mapping[str, Prompt]
    own: Mapping[str, Own]
    journal: Sequence[Event]
    events: Mapping[str, Sequence[Event]]
    standings: Mapping[str, Standing]
    queue: Queue

    def standing(self, prompt: str) -> Standing:
        """How the person's labels of a prompt stand."""
        return self.standings.get(prompt) or standing([], candidates_of(self.own[prompt]))

    def task(self, prompt: str, draw: Draw | None = None) -> Task:
        """What is asked of a prompt; None: it was chosen by hand."""
        return Task(
            author=self.author or "",
            prompt_hash=prompt,
            candidates=candidates_of(self.own[prompt]),
            texts=documents.vocabulary(self.profile),
            tokenizer=labelling.tokenizer(self.profile),
            draw=draw,
            revealed=[*labelling.judged(self.profile, prompt), *([LEXICON] if self.lexicon(prompt) else [])],
        )

    def lexicon(self, prompt: str) -> Mapping[int, str]:
        """Labels by token id that a prompt's targets and the lexicon give; none where there is no lexicon."""
        try:
            return labels_on(documents.lexicon(self.profile), self.prompts[prompt])
        except StoreError:
            return {}

    @property
    def done(self) -> list[str]:
        """Prompts that are submitted or rejected, the last one last."""
        newest_first = dict.fromkeys(event.prompt_hash for event in reversed(self._said()))
        return [prompt for prompt in reversed(newest_first) if prompt in self.queue.done]

    @property
    def latest(self) -> str | None:
        """The prompt that the person's last event is of."""
        said = self._said()
        return said[-1].prompt_hash if said else None

    @property
    def n_labelled(self) -> int:
        """Candidates with a label, of the prompts that are submitted."""
        return sum(len(each.marks) for each in self.standings.values() if each.state == "submitted")

    def _said(self) -> list[TokenEvent | RejectionEvent]:
        said = [event for event in self.journal if isinstance(event, TokenEvent | RejectionEvent)]
        return [event for event in said if event.prompt_hash in self.own]


def desk(profile: str) -> Desk:
    """The desk of whoever runs the dashboard; a mistake of theirs is its `problem`.

    Raises
    ------
    StoreError
        Prompts, candidates or token texts are missing or damaged.
    """
    own, known = labelling.candidates(profile), labelling.prompts(profile)
    name, problem = None, ""
    (seed, shares), journal = _NOBODY_CHOSE, list[Event]()
    try:
        name = author()
        journal = [event for event in labelling.events(profile) if event.author == name]
        seed, shares = _draws()
    except (UserError, models.NotLiveError) as error:
        problem = str(error)
    events = {prompt: of for prompt, of in by_prompt(journal).items() if prompt in own}
    standings = {prompt: standing(of, candidates_of(own[prompt])) for prompt, of in events.items()}
    return Desk(
        profile=profile,
        author=name,
        problem=problem,
        prompts={prompt: known[prompt] for prompt in own},
        own=own,
        journal=journal,
        events=events,
        standings=standings,
        queue=queue(
            journal,
            list(own),
            labelling.label_strata(profile, own),
            shares,
            done=frozenset(prompt for prompt, each in standings.items() if each.state != "open"),
            seed=seed,
            author=name or "",
        ),
    )


def _draws() -> tuple[int, Mapping[str, float]]:
    """The seed of the draws, and the share of each stratum.

    Raises
    ------
    NotLiveError
        ``params.yaml`` is malformed.
    """
    if not (project.root() / "params.yaml").exists():
        return _NOBODY_CHOSE
    params = models.params()
    return params.runtime.seed, params.labels.queue.model_dump()
