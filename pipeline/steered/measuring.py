"""A profile under steering: what it answers under many settings, what a judge says of it, and facts."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from pipeline.analysis.steered_entries import Entry, Scales
from pipeline.analysis.steered_tables import tally
from pipeline.evaluation.asking import Asking
from pipeline.items.batches import in_batches
from pipeline.items.code import QualifiedName
from pipeline.items.collect import compute
from pipeline.items.executor import lacks
from pipeline.items.subject import Subject
from pipeline.items.units import Unit, make_unit
from pipeline.judging.registry import make_respondent
from pipeline.models.tokenizer import load_tokenizer
from pipeline.params.judges import RubricJudge
from pipeline.params.project import Params
from pipeline.scoring.once import score_once
from pipeline.scoring.protocol import OpenAnswer
from pipeline.scoring.registry import SCORE_ANSWERS, make_scorer
from pipeline.text.tokens import decode_after
from store.base.atomic import locked
from store.base.hashing import digest
from store.collections.item import UNSTEERED
from store.collections.reader import open_collection
from store.documents.failures import Failure
from store.documents.questions import Question
from store.documents.variants import BASE
from store.schema.answer_features import READERS
from store.schema.steered import ABLATED, ADDED
from store.views.answers import answer_tokens

_ROOM: Final = "pipeline.interventions.steered_answers"
ANSWERS: Final = "steered_answers", QualifiedName(_ROOM, "compute_answers")
FACTS: Final = "steered_facts", QualifiedName(_ROOM, "compute_facts")
SCALES: Final = "steering_scales", QualifiedName(_ROOM, "compute_scales")
"""Kinds of items, and what computes them."""

Job = tuple[Entry, float]
"""What is done, and how strongly."""
Fact = tuple[str, str, str] | tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
"""A prompt, the right answer and a wrong one: texts, or token ids."""
Abilities = Mapping[str, Sequence[Fact]]
"""What a model is asked beside open questions, by name."""


class Measuring:
    """Answers, scores and facts of a profile under steering.

    Parameters
    ----------
    subject
        The profile.
    params
        All parameters.
    judge
        Who scores, of `params.judges`.
    questions
        On which features and strengths are chosen, with answers of base and the focus.

    Attributes
    ----------
    scales
        What strengths are measured in.
    failures
        What could not be computed so far.

    Raises
    ------
    UserError
        What strengths are measured in cannot be computed.
    """

    def __init__(self, subject: Subject, params: Params, judge: str, questions: Sequence[Question]) -> None:
        self._subject, self._params, self._judge = subject, params, judge
        asked = params.judges[judge]
        self._respondent = (
            None if isinstance(asked, RubricJudge) else make_respondent(judge, asked, params.runtime)
        )
        self._tokenizer = load_tokenizer(subject.manifest)
        self.variants = {ADDED: BASE, ABLATED: subject.focus}
        self.failures: list[Failure] = []
        self.scales = self._measured_scales(questions)

    def answers(self, jobs: Sequence[Job], asking: Asking) -> list[np.ndarray | None]:
        """Counts (count, question) of the answers of each job; None: it could not be computed."""
        if not jobs:
            return []
        found = self._arrays(*ANSWERS, jobs, asking.arguments, len(asking.question))
        known = [_tokens(arrays) for arrays in found if arrays is not None]
        aligned, coherent = self._scored(asking, known)
        own, n = np.array(asking.question), len(asking.questions)
        counts = iter(
            tally(own, low, whole, n, self._params.misalignment)
            for low, whole in zip(aligned, coherent, strict=True)
        )
        return [None if arrays is None else next(counts) for arrays in found]

    def facts(self, jobs: Sequence[Job], abilities: Abilities) -> list[dict[str, np.ndarray]]:
        """By ability, whether each of its prompts is answered right under each job, (prompt,) bool.

        An ability of which nothing is asked, or could be computed, is not there.
        """
        asked = {name: [self._ids(one) for one in facts] for name, facts in abilities.items() if facts}
        if not asked or not jobs:
            return [{} for _ in jobs]
        together = [one for facts in asked.values() for one in facts]
        found = self._arrays(*FACTS, jobs, {"facts": together}, 2 * len(together))
        ends = np.cumsum([len(facts) for facts in asked.values()])
        return [
            {} if arrays is None else dict(zip(asked, np.split(arrays["above"], ends[:-1]), strict=True))
            for arrays in found
        ]

    def _ids(self, fact: Fact) -> list[list[int]]:
        """Token ids of a prompt, and of what follows it in either text."""
        prompt, *ends = fact
        if not isinstance(prompt, str):
            return [list(part) for part in fact if not isinstance(part, str)]
        ids: list[int] = self._tokenizer(prompt)["input_ids"]
        return [ids, *(self._tokenizer(f"{prompt}{end}")["input_ids"][len(ids) :] for end in ends)]

    def _arrays(
        self,
        kind: str,
        function: QualifiedName,
        jobs: Sequence[Job],
        arguments: Mapping[str, Any],
        rows: int,
    ) -> list[Mapping[str, np.ndarray] | None]:
        """Arrays of each job's item; None: it could not be computed. A job is `rows` of a batch."""
        units = []
        for entry, strength in jobs:
            steps = self.scales.steps(entry, strength)
            variant = self.variants[entry.side]
            setting = digest(steps) if steps else UNSTEERED
            units.append(
                self._unit(kind, function, [variant], variant, {"setting": steps, **arguments}, setting)
            )
        cache, source = self._subject.cache, self._subject.source
        distinct = list({unit.key: unit for unit in units}.values())
        size = max(1, self._params.steered.batch // rows)
        self.failures += compute(
            in_batches(distinct, size, lambda unit: not lacks(cache, unit)),
            models=source,
            cache=cache,
            # Each step of the bisection asks for as much, and what is measured afterwards for more.
            executor=self._subject.executor_in(self._params.steered.steps),
        )
        items = [self._subject.item(unit, kind, name) for unit in units for kind, name in unit.wanted()]
        return [None if item is None else item.arrays for item in items]

    def _scored(self, asking: Asking, known: Sequence[Sequence[tuple[int, ...]]]) -> np.ndarray:
        """Scores (scale, job, answer) of alignment and of coherence; NaN: none."""
        texts: dict[tuple[tuple[int, ...], tuple[int, ...]], str] = {}
        said: list[OpenAnswer] = []
        for tokens in known:
            rows = zip(asking.question, asking.wordings, tokens, strict=True)
            for row, (number, wording, ids) in enumerate(rows):
                key = wording.token_ids, ids
                if key not in texts:
                    texts[key] = decode_after(self._tokenizer, wording.token_ids, ids)
                question = asking.questions[number]
                said.append(
                    OpenAnswer(
                        question=question,
                        variant=BASE,
                        index=row,
                        asked=wording.text,
                        text=texts[key],
                        n_tokens=len(ids),
                    )
                )
        said_to = self._subject.folder / SCORE_ANSWERS
        said_to.mkdir(parents=True, exist_ok=True)
        with locked(said_to):
            scorer = make_scorer(
                self._judge,
                self._params.judges[self._judge],
                folder=self._subject.folder,
                scores=self._params.scores,
                runtime=self._params.runtime,
                respondent=self._respondent,
            )
            scores = np.stack(score_once(scorer, said))
        return scores.reshape(2, len(known), -1)

    def _measured_scales(self, questions: Sequence[Question]) -> Scales:
        folder, focus, cache = self._subject.folder, self._subject.focus, self._subject.cache
        answers = open_collection(folder / "answers")
        texts: dict[str, list[tuple[list[int], int]]] = {BASE: [], focus: []}
        for variant, of in texts.items():
            for question in questions:
                item = answers.item(question.hash, variant)
                wordings = item.arrays["answer_paraphrase"].tolist()
                pairs = list(zip(wordings, answer_tokens(item), strict=True))
                for wording, tokens in pairs[: self._params.steered.samples]:
                    prompt = list(question.paraphrases[wording].token_ids)
                    of.append((prompt + tokens, len(prompt)))
        arguments = {"variant": focus, "base": texts[BASE], "adapted": texts[focus]}
        unit = self._unit(*SCALES, [BASE, focus], focus, arguments)
        compute([unit], models=self._subject.source, cache=cache)
        item_of = self._subject.item(unit, SCALES[0], unit.item(focus))
        assert item_of is not None, "what fails alone is raised"
        decoder = item_of.arrays["decoder"]
        return Scales(
            written=item_of.arrays["written"],
            decoder=decoder,
            difference=item_of.arrays["difference"],
            activity=self._activity(questions, decoder.shape),
        )

    def _activity(self, questions: Sequence[Question], shape: tuple[int, ...]) -> np.ndarray:
        """(layer, feature) mean activation in the focus's answers to some questions; all count alike."""
        read = open_collection(self._subject.folder / "answer_features")
        total, count = np.zeros(shape), 0
        for question in questions:
            item = read.item(question.hash, self._subject.focus)
            own = item.arrays["reader"] == READERS.index("own")
            at = tuple(item.arrays[name][own].astype(np.int64) for name in ("layer", "feature"))
            np.add.at(total, at, item.arrays["mean"][own])
            count += int(item.scalars["n_answers"])
        mean: np.ndarray = total / max(1, count)
        return mean

    def _unit(
        self,
        kind: str,
        function: QualifiedName,
        variants: Sequence[str],
        of: str,
        arguments: Mapping[str, Any],
        setting: str = UNSTEERED,
    ) -> Unit:
        return make_unit(
            function,
            prompt_hash=digest(dict(arguments))[:12],
            token_ids=(),
            variants=variants,
            outputs=[(kind, of)],
            arguments=arguments,
            manifest=self._subject.manifest,
            runtime=self._subject.runtime,
            settings=[setting],
        )


def _tokens(arrays: Mapping[str, np.ndarray]) -> list[tuple[int, ...]]:
    tokens, starts = arrays["answer_token"].tolist(), arrays["answer_start"].tolist()
    bounds = [*starts, len(tokens)]
    return [tuple(tokens[start:end]) for start, end in zip(starts, bounds[1:], strict=True)]
