"""What judges say of drafts, and what a draft then is."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from typing import NamedTuple

from pipeline.analysis.targets import target_set
from pipeline.discover.spending import Spent, left_of, limited, spent_by
from pipeline.items.subject import Subject
from pipeline.judging.asked_judge import AskedJudge
from pipeline.judging.asking import Respondent
from pipeline.judging.cases import make_cases
from pipeline.judging.examples import read_examples
from pipeline.judging.journal import ANSWERS
from pipeline.judging.protocol import Judge
from pipeline.judging.registry import make_judge, make_respondent
from pipeline.labels.candidates import Own
from pipeline.labels.heads import PeoplesLabels
from pipeline.labels.prompt_state import prompt_state
from pipeline.labels.resolution import counted, rejected_by, said_of
from pipeline.params.judges import LocalJudge
from pipeline.params.project import Params
from pipeline.text.lexicon import Lexicon
from store.base.atomic import locked
from store.documents.discovery import Outcome
from store.documents.prompts import Prompt
from store.documents.variants import BASE
from store.documents.verdicts import Verdict

Verdicts = dict[str, dict[str, Verdict]]
"""By judge and prompt hash."""


class Answered(NamedTuple):
    """Verdicts, and what it took to get them; what was counted before is not in it."""

    verdicts: Verdicts
    took: Spent


class Panel:
    """The judges of a profile, asked about drafts as stage `judge` asks them, out of the same journals.

    Parameters
    ----------
    subject, params
        The profile, and all of ``params.yaml``.
    names
        Of its judges.
    lexicon, texts
        Of the profile; the text of every token id.
    """

    def __init__(
        self, subject: Subject, params: Params, names: Sequence[str], lexicon: Lexicon, texts: Sequence[str]
    ) -> None:
        self._subject = subject
        self._params = params
        self._names = names
        self._lexicon = lexicon
        self._texts = texts
        self._examples = read_examples()
        self._loaded: dict[str, Respondent] = {}

    def ask(
        self, prompts: Iterable[Prompt], own: Mapping[str, Own], spent: Spent, *, counted: bool
    ) -> Answered:
        """Every judge's verdicts.

        Parameters
        ----------
        spent
            By others and earlier: what judges may take is what of the limits of ``discover`` is then left.
        counted
            Whether `spent` has what these prompts took when they were asked about before.

        Raises
        ------
        LimitError, UserError
            As of a judge; what was answered is kept.
        """
        tokens = {prompt: target_set({v: list(of) for v, of in own[prompt].items()}) for prompt in own}
        cases = make_cases(prompts, tokens, self._texts)
        folder = self._subject.folder / ANSWERS
        folder.mkdir(parents=True, exist_ok=True)
        verdicts: Verdicts = {}
        took = Spent()
        # As stage `judge`: two that ask at once would pay twice.
        with locked(folder):
            for name in self._names:
                judge = self._judge(name, spent.plus(took))
                judge.prepare(cases)
                before = spent_by(judge)
                if before.calls and not counted:
                    judge = self._judge(name, spent.plus(took).plus(before))
                    judge.prepare(cases)
                with closing(judge.verdicts()) as arriving:
                    verdicts[name] = {verdict.prompt_hash: verdict for verdict in arriving}
                now = spent_by(judge)
                took = took.plus(now.minus(before) if counted else now)
        return Answered(verdicts, took)

    def _judge(self, name: str, spent: Spent) -> Judge:
        params = self._params.judges[name]
        if isinstance(params, LocalJudge):
            # Loaded once, for all rounds.
            model = self._loaded.setdefault(name, make_respondent(name, params, self._params.runtime))
            path = self._subject.folder / ANSWERS / f"{name}.jsonl"
            return AskedJudge(name, model, path, self._examples, params.examples)
        return make_judge(
            name,
            limited(params, left_of(self._params.discover, spent)),
            folder=self._subject.folder,
            lexicon=self._lexicon,
            examples=self._examples,
            runtime=self._params.runtime,
        )


def decided(
    outcome: Outcome,
    prompt: str,
    focus: str,
    verdicts: Verdicts,
    people: PeoplesLabels,
    params: Params,
) -> Outcome:
    """What a draft is, by the labels of people and judges: never by those of the lexicon alone.

    Parameters
    ----------
    outcome
        With the prompt's candidates.
    prompt
        Its hash.
    """
    own = outcome.own()
    said = said_of(prompt, {}, verdicts, people)
    if not said.judge:
        why = "; ".join(
            f"{judge}: {of[prompt].status} ({of[prompt].detail})" if prompt in of else f"{judge}: nothing"
            for judge, of in verdicts.items()
        )
        return outcome.model_copy(update={"status": "unjudged", "rule": "unjudged", "detail": why})
    order = [each for each in params.labels.order if each != "lexicon"]
    tokens = target_set({variant: list(of) for variant, of in own.items()})
    labels = {token: counted(said, token, order).label for token in tokens}
    state = prompt_state(own[BASE], own[focus], labels, least=params.labels.least_change)
    known = {token: label for token, label in labels.items() if label != "unlabelled"}
    update = {
        "labels": tuple(known.items()),
        "verdicts": {judge: of[prompt] for judge, of in verdicts.items() if prompt in of},
        "divergent": state.divergent,
    }
    if unfit := rejected_by(said, order):
        return outcome.model_copy(update={**update, "status": "rejected", "rule": "unfit", "detail": unfit})
    for label in ("evil", "safe"):
        if label not in known.values():
            rule = f"no {label} candidate"
            return outcome.model_copy(update={**update, "status": "failed", "rule": rule, "detail": ""})
    return outcome.model_copy(update={**update, "status": "fit", "rule": "", "detail": ""})
