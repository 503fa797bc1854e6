"""One round: from drafts to what each comes to, and to lines of the prompt file."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.discover.candidates import candidates_on
from pipeline.discover.determiners import determiner_mass
from pipeline.discover.generated import content_line, keep
from pipeline.discover.generators import Generator
from pipeline.discover.judged import Panel, decided
from pipeline.discover.log import Log
from pipeline.discover.shape import Broken, Others, broken, text_of
from pipeline.discover.spending import Spent, left_of, spent_in
from pipeline.items.subject import Subject
from pipeline.labels.heads import PeoplesLabels
from pipeline.models.opening import require_opening
from pipeline.params.project import Params
from pipeline.prompts.files import PromptLine, prompt_lines, read_prompt_files
from pipeline.text.phrases import Phrases, read_phrases, resolve
from store.base.errors import UserError
from store.documents.discovery import Begun, Draft, Ended, Outcome, Tokenized
from store.documents.prompts import Prompt
from store.documents.token_texts import tokenizer_fingerprint

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class StoppedError(Exception):
    """Somebody asked the program to stop."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What a round works with.

    Attributes
    ----------
    subject, profile, params
        Whose prompts, and all of ``params.yaml``.
    tokenizer, texts
        Of the model; the text of every token id.
    generator, panel, log
        Who drafts, who judges, and what is on the disk of it.
    path
        The prompt file that is added to.
    people
        Gives what people say now.
    look
        Raises `StoppedError` where somebody asked for it.
    asks
        Whether a model is asked, to write or to judge: what it takes is limited.
    """

    subject: Subject
    profile: str
    params: Params
    tokenizer: "PreTrainedTokenizerBase"
    texts: Sequence[str]
    generator: Generator
    panel: Panel
    log: Log
    path: Path
    people: Callable[[], PeoplesLabels]
    look: Callable[[], None]
    asks: bool

    @cached_property
    def sources(self) -> list[Path]:
        """Prompt files of the profile."""
        return [Path(source) for source in self.params.profile(self.profile).prompts]

    @cached_property
    def fingerprint(self) -> str:
        """What token ids are of."""
        return tokenizer_fingerprint(self.texts)

    @cached_property
    def phrases(self) -> Phrases:
        """Those that the profile's lexicon is made of, by domain."""
        lexicon = self.params.profile(self.profile).lexicon
        return {} if lexicon is None else read_phrases(Path(lexicon))

    @cached_property
    def situations(self) -> Mapping[str, tuple[str | None, bool]]:
        """Domain and side of every situation of the prompt files."""
        lines = (line for _, line in prompt_lines(self.sources))
        return {line.situation: (line.domain, line.held_out) for line in lines if line.situation}

    def seen(self) -> set[str]:
        """Every text that is known: of the profile's prompts, and of drafts."""
        written = {_words_of(line) for _, line in prompt_lines(self.sources)}
        drafted = (outcome.draft for outcome in self.log.found.outcomes.values())
        return written | {text_of(draft.words()) for draft in drafted if draft is not None}

    def others(self) -> Others:
        """All that a new draft may not repeat: the profile's prompts, and what was drafted before."""
        others = Others(self.params.discover)
        for place, line in prompt_lines(self.sources):
            others.add(_words_of(line), place)
        for outcome in self.log.found.outcomes.values():
            if outcome.draft is not None:
                name = f"draft {outcome.place + 1} of round {outcome.round}"
                # What was too long, say, may be drafted again in fewer words.
                near = outcome.status != "rejected"
                others.add(text_of(outcome.draft.words()), name, near=near)
        return others


def _words_of(line: PromptLine) -> str:
    return text_of([line.prompt] if line.prompt else [turn.content for turn in line.messages or []])


def run_round(bench: Bench, begun: Begun) -> None:
    """Do what is left to do of a round: all of it, or what an end came between, or an outage.

    Raises
    ------
    LimitError, UserError
        As of generator and judges; the round goes on in a later run.
    StoppedError
        Somebody asked for it.
    """
    log, number = bench.log, begun.number
    ended = log.found.ended.get(number)
    before = spent_in(log.found)
    given = bench.generator.give(
        begun, left_of(bench.params.discover, before.plus(_own(bench, begun, ended)))
    )
    bench.look()
    ready = _ready(bench, begun, given.drafts)
    traced = _traced(bench, ready)
    bench.look()
    spent = before if ended else before.plus(given.spent)
    took = _judged(bench, begun, traced, spent, counted=ended is not None)
    base = given.spent if ended is None else Spent(ended.calls, ended.cost)
    calls, cost = base.plus(took)
    status, detail, n = given.status, given.detail, len(given.drafts)
    log.add(Ended(number=number, status=status, detail=detail, drafts=n, calls=calls, cost=cost))


def _own(bench: Bench, begun: Begun, ended: Ended | None) -> Spent:
    """What the generator has been paid for this round before, where no end of it has told yet."""
    return Spent() if ended else bench.generator.spent(begun)


Ready = list[tuple[Outcome, Prompt]]


def _ready(bench: Bench, begun: Begun, drafts: Sequence[Draft | str]) -> Ready:
    """Drafts that keep to all that is checked without a model, and have come to nothing yet."""
    known, others, found = bench.log.found.outcomes, bench.others(), Ready()
    for place, draft in enumerate(drafts):
        outcome = known.get((begun.number, place))
        if outcome is not None and outcome.status != "unjudged":
            continue
        again = outcome is not None
        if isinstance(draft, str):
            _reject(bench, begun, place, None, Broken("form", draft))
            continue
        draft = _at_home(draft, bench.situations)
        prompt = _prompt(bench, draft, f"{bench.path}: draft {place + 1} of round {begun.number}")
        if isinstance(prompt, Broken):
            _reject(bench, begun, place, draft, prompt)
            continue
        wrong = None if again else broken(draft, bench.tokenizer, others, bench.params.discover)
        if wrong is not None:
            _reject(bench, begun, place, draft, wrong)
            continue
        others.add(text_of(draft.words()), f"draft {place + 1} of round {begun.number}")
        new = Outcome(
            round=begun.number,
            place=place,
            draft=draft,
            status="unjudged",
            prompt_hash=prompt.hash,
            prompt=Tokenized(text=prompt.text, token_ids=prompt.token_ids, tokenizer=bench.fingerprint),
        )
        found.append((new, prompt))
    return found


def _at_home(draft: Draft, situations: Mapping[str, tuple[str | None, bool]]) -> Draft:
    """A draft about a situation that is there is of its domain, and on its side of every split."""
    if draft.situation is None or draft.situation not in situations:
        return draft
    domain, held_out = situations[draft.situation]
    return draft.model_copy(update={"domain": domain, "held_out": held_out})


def _prompt(bench: Bench, draft: Draft, place: str) -> Prompt | Broken:
    """The prompt as the stage `prompts` will make it."""
    try:
        (prompt,) = read_prompt_files(
            [],
            bench.tokenizer,
            bench.params.prompts.max_tokens,
            bench.subject.manifest.model.context,
            more=[(place, json.dumps(content_line(draft)))],
            chat=bench.params.profile(bench.profile).chat,
        )
        # Else the whole stage `prompts` would refuse it: a phrase may merge with its end, too.
        require_opening(bench.subject.manifest, [prompt])
        known = {name: of for name, of in bench.phrases.items() if name == prompt.domain}
        resolve(known, bench.tokenizer, [prompt])
    except UserError as error:
        return Broken("form", str(error).removeprefix(f"{place}: "))
    return prompt


def _reject(bench: Bench, begun: Begun, place: int, draft: Draft | None, why: Broken) -> None:
    bench.log.add(
        Outcome(
            round=begun.number, place=place, draft=draft, status="rejected", rule=why.rule, detail=why.detail
        )
    )


def _traced(bench: Bench, ready: Ready) -> Ready:
    """Those on whose next token the models can decide, with their candidates."""
    if not ready:
        return []
    traced = candidates_on(bench.subject, [prompt for _, prompt in ready], bench.params.graphs)
    most, found = bench.params.discover.determiners, Ready()
    for outcome, prompt in ready:
        if prompt.hash in traced.failures:
            why = {"status": "rejected", "rule": "untraceable", "detail": traced.failures[prompt.hash]}
            bench.log.add(outcome.model_copy(update=why))
            continue
        own = traced.own[prompt.hash]
        candidates = {variant: tuple(of.items()) for variant, of in own.items()}
        outcome = outcome.model_copy(update={"candidates": candidates})
        mass, variant = max((determiner_mass(of, bench.texts), variant) for variant, of in own.items())
        if mass >= most:
            why = {"status": "failed", "rule": "determiners", "detail": f"{mass:.2f} in {variant}"}
            bench.log.add(outcome.model_copy(update=why))
        else:
            found.append((outcome, prompt))
    return found


def _judged(bench: Bench, begun: Begun, traced: Ready, spent: Spent, *, counted: bool) -> Spent:
    """Ask the judges, and keep what is fit."""
    # What was judged before an end came between is among those asked about, for what it took: it is answered.
    done = [] if counted else _done(bench, begun)
    prompts = [prompt for _, prompt in (*done, *traced)]
    own = {outcome.prompt_hash: outcome.own() for outcome, _ in (*done, *traced)}
    if not prompts:
        return Spent()
    answered = bench.panel.ask(prompts, own, spent, counted=counted)
    people = bench.people()
    for outcome, prompt in traced:
        bench.log.add(
            decided(outcome, prompt.hash, bench.subject.focus, answered.verdicts, people, bench.params)
        )
    # Of a round that has ended before only what is new: a person may have deleted a line.
    new = {outcome.place for outcome, _ in traced}
    for (number, place), outcome in bench.log.found.outcomes.items():
        if number == begun.number and outcome.status == "fit" and (place in new or not counted):
            keep(outcome, begun, bench.path)
    return answered.took


def _done(bench: Bench, begun: Begun) -> Ready:
    """Drafts of a round that was broken off, which judges had been asked about."""
    found = Ready()
    for (number, place), outcome in bench.log.found.outcomes.items():
        if number == begun.number and outcome.labels and outcome.draft is not None:
            prompt = _prompt(bench, outcome.draft, f"{bench.path}: draft {place + 1} of round {number}")
            if isinstance(prompt, Prompt):
                found.append((outcome, prompt))
    return found
