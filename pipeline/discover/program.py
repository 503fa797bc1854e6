"""A profile's discovery, put together out of ``params.yaml`` and what lies in its folder."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pipeline.discover.generated import generated_file
from pipeline.discover.generators import AskedWriter, Generator, Templates
from pipeline.discover.judged import Panel
from pipeline.discover.log import Log
from pipeline.discover.loop import End, run
from pipeline.discover.rounds import Bench, StoppedError
from pipeline.discover.settled import Settled
from pipeline.discover.template_files import read_templates
from pipeline.discover.told import Told
from pipeline.items.subject import Subject
from pipeline.models.tokenizer import load_tokenizer
from pipeline.params.discover import TEMPLATES
from pipeline.params.judges import LocalJudge, OpenAIJudge, RubricJudge
from pipeline.params.project import Params
from pipeline.text.lexicon_file import read_lexicon
from store.base.claims import claimed
from store.base.errors import UserError
from store.documents.discovery import DISCOVERY, ROUNDS, STOP
from store.documents.token_texts import read_token_texts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

ANSWERS: Final = "answers"
"""Folder of what generators answered, below the discovery's; one file a generator."""


def discover(profile: str, params: Params) -> End:
    """Find prompts until there is a reason to end.

    Raises
    ------
    UserError
        It cannot begin, or cannot go on; what was found is kept.
    """
    source = params.profile(profile)
    if not source.judges:
        raise UserError(
            f"profiles.{profile}.judges in params.yaml names nobody, and without labels no draft is known to "
            "be pivotal; name a judge there."
        )
    generated_file(source)
    subject = Subject(profile, params.runtime)
    folder = subject.folder / DISCOVERY
    stop = folder / STOP

    def look() -> None:
        if stop.exists():
            raise StoppedError

    with claimed(folder) as mine:
        if not mine:
            raise UserError(f"Another program finds prompts for {profile} just now; wait for it, or stop it.")
        stop.unlink(missing_ok=True)
        log = Log(folder / ROUNDS)
        try:
            return run(_bench(subject, profile, params, log, look))
        finally:
            log.close()


def _bench(subject: Subject, profile: str, params: Params, log: Log, look: Callable[[], None]) -> Bench:
    source = params.profile(profile)
    names = [*source.judges, *({params.discover.generator} - {TEMPLATES})]
    _require_budget(params, names)
    tokenizer = load_tokenizer(subject.manifest)
    texts = read_token_texts(subject.folder / "vocabulary.json")
    settled = Settled(subject, log, texts)
    return Bench(
        subject=subject,
        profile=profile,
        params=params,
        tokenizer=tokenizer,
        texts=texts,
        generator=_generator(subject, profile, params, tokenizer, settled),
        panel=Panel(subject, params, source.judges, read_lexicon(subject.folder / "lexicon.json"), texts),
        log=log,
        path=generated_file(source),
        people=settled.people,
        look=look,
        asks=any(not isinstance(params.judges[name], RubricJudge) for name in names),
    )


def _require_budget(params: Params, names: list[str]) -> None:
    """Refuse a limit of 0 that nobody could keep to."""
    limits = params.discover
    for name in names:
        judge = params.judges[name]
        if isinstance(judge, RubricJudge):
            continue
        priced = isinstance(judge, OpenAIJudge) and judge.input_price + judge.output_price > 0
        which = (
            "max_calls" if limits.max_calls == 0 else "max_cost" if limits.max_cost == 0 and priced else None
        )
        if which:
            raise UserError(
                f"discover.{which} is 0, so that '{name}' can be asked nothing; raise it in params.yaml, or "
                "choose templates and the rubric, which cost nothing. What was found is kept."
            )


def _generator(
    subject: Subject, profile: str, params: Params, tokenizer: "PreTrainedTokenizerBase", settled: Settled
) -> Generator:
    chosen, source = params.discover, params.profile(profile)
    if chosen.generator == TEMPLATES:
        if source.templates is None:
            raise UserError(
                f"profiles.{profile}.templates in params.yaml names no file; name one, or a model of "
                "`judges` as discover.generator."
            )
        entries = read_templates(Path(source.templates))
        has = {entry.kind for entry in entries}
        if lacking := [kind for kind in chosen.kinds if kind not in has]:
            raise UserError(
                f"discover.kinds names {', '.join(lacking)}, but {source.templates} has templates of "
                f"{', '.join(sorted(has))} only; add some there, or correct discover.kinds in params.yaml."
            )
        return Templates(entries, chosen, params.runtime.seed)
    if (chats := [kind for kind in chosen.kinds if kind != "text"]) and not tokenizer.chat_template:
        raise UserError(
            f"discover.kinds names {', '.join(chats)}, but the tokenizer of {source.model} has no chat "
            "template to write them by; set it to [text] in params.yaml."
        )
    judge = params.judges[chosen.generator]
    assert isinstance(judge, OpenAIJudge | LocalJudge)  # as `Params` has checked
    _require_settled(settled.told(), chosen.warmup)
    lexicon = read_lexicon(subject.folder / "lexicon.json")
    return AskedWriter(
        chosen.generator,
        judge,
        chosen,
        params.runtime,
        subject.folder / DISCOVERY / ANSWERS,
        sorted(lexicon["domains"]),
        lambda: settled.told().within(chosen.example_tokens, tokenizer),
    )


def _require_settled(told: Told, warmup: int) -> None:
    """Refuse to let a model write before people have shown what they look for."""
    if told.complete < warmup:
        raise UserError(
            f"A model writes prompts once people have labelled {warmup} whole (discover.warmup), and "
            f"{told.complete or 'none'} {'is' if told.complete < 2 else 'are'} so far; label all candidates "
            "of some on the page Labels, or choose the generator templates, which needs none."
        )
