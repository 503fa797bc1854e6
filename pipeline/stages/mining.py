"""Stage `mining`: beginnings of answers whose next token decides whether they become harmful."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pipeline.analysis.mining import Prefix, Tried, mined_table, mining_summary, most_divergent
from pipeline.analysis.pivotality import Decision, decide
from pipeline.features.answer_reading import reading_arguments
from pipeline.items.code import QualifiedName
from pipeline.items.provenance import provenance
from pipeline.items.subject import Subject
from pipeline.items.units import Unit, make_unit
from pipeline.models.tokenizer import load_tokenizer
from pipeline.params.judges import LocalJudge
from pipeline.params.mining import MiningParams
from pipeline.params.project import Params
from pipeline.run.lean_imports import without_torch
from pipeline.run.reports import write_metrics
from pipeline.run.stage import run_stage
from pipeline.scoring.registry import first_judge
from pipeline.scoring.rollouts import Rolled, ask_judge
from pipeline.text.tokens import decode_after, encode_text
from store.base.hashing import PROMPT_HASH_DIGITS, digest
from store.collections.reader import Collection, open_collection
from store.datasets.groups import write_dataset
from store.documents.questions import Question, read_questions
from store.documents.variants import BASE
from store.schema.answer_divergence import ANSWER_DIVERGENCE
from store.schema.answers import ANSWERS
from store.schema.mining import MINING
from store.schema.rollouts import ROLLOUTS
from store.views.answers import answer_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

DIVERGENCE: Final = QualifiedName("pipeline.evaluation.answer_divergence", "compute_answer_divergence")
FORKS: Final = QualifiedName("pipeline.evaluation.rollouts", "compute_forks")
PLACE: Final = "mined_rollouts"
"""Folder of the rollouts, beside those of prompts."""
NULLS: Final = "null_divergence"
"""Folder of how far random adapters lie apart from base."""
JOURNALS: Final = "mined_answers"
"""Folder of what judges said of rollouts."""


def divergence_units(
    subject: Subject, questions: Sequence[Question], answers: Collection, other: str, batch: int
) -> list[Unit]:
    """A unit a question and variant of the pair base and `other`, whose answers both read."""
    return [
        make_unit(
            DIVERGENCE,
            prompt_hash=read_by(subject, question, other),
            token_ids=(),
            variants=[BASE, other],
            outputs=[(ANSWER_DIVERGENCE.kind, variant)],
            arguments={**reading_arguments(question, answers.item(question.hash, variant)), "batch": batch},
            manifest=subject.manifest,
            runtime=subject.runtime,
        )
        for question in questions
        for variant in (BASE, other)
        if (question.hash, variant) in answers
    ]


def read_by(subject: Subject, question: Question, other: str) -> str:
    """What a divergence is found by: base's answers are read beside several variants."""
    if other == subject.focus:
        return question.hash
    return digest([question.hash, other])[:PROMPT_HASH_DIGITS]


def beside_null(units: Sequence[Unit], divergence: Collection, least: float) -> dict[str, Any]:
    """What a random adapter as focus would have tried: nothing is mined where nothing reaches the bar.

    Returns
    -------
    dict
        `places`: tokens of its answers and base's; `largest_bits`: the largest divergence there, None of
        none; `reach_the_bar`: places with `least` bits or more.
    """
    keys = [(unit.prompt_hash, variant) for unit in units for _, variant in unit.outputs]
    read = [divergence.item(*key).arrays["divergence"] for key in keys if key in divergence]
    values = np.concatenate([np.empty(0), *read])
    return {
        "places": len(values),
        "largest_bits": float(values.max()) if len(values) else None,
        "reach_the_bar": int((values >= least).sum()),
    }


def prefixes_of(
    subject: Subject, question: Question, answers: Collection, divergence: Collection, params: MiningParams
) -> list[Prefix]:
    """The beginnings of a question's answers that are tried; none where no variant's answers were read."""
    tokens: dict[str, list[list[int]]] = {}
    asked: dict[str, list[int]] = {}
    values: dict[str, list[np.ndarray]] = {}
    for variant in subject.pair:
        if (question.hash, variant) in divergence:
            item = answers.item(question.hash, variant)
            tokens[variant], asked[variant] = answer_tokens(item), item.arrays["answer_paraphrase"].tolist()
            read = divergence.item(question.hash, variant).arrays["divergence"]
            values[variant] = np.split(read, np.cumsum([len(each) for each in tokens[variant]])[:-1])
    return most_divergent(tokens, asked, values, least=params.least_divergence, most=params.prefixes)


def fork_unit(subject: Subject, question: Question, prefix: Prefix, params: Params, longest: int) -> Unit:
    """Rollouts behind a prefix, by the focus variant; an answer gets as long as the longest may."""
    ids = [*question.paraphrases[prefix.paraphrase].token_ids, *prefix.tokens]
    return make_unit(
        FORKS,
        # Two questions may be asked in the same words, and are judged otherwise.
        prompt_hash=digest([question.hash, ids])[:PROMPT_HASH_DIGITS],
        token_ids=ids,
        variants=subject.pair,
        outputs=[(ROLLOUTS.kind, subject.focus)],
        arguments={
            "least_probability": params.mining.least_probability,
            "most": params.mining.most,
            "samples": params.pivotality.picking + params.pivotality.samples,
            "max_new_tokens": max(1, longest - len(prefix.tokens) - 1),
            "temperature": params.answers.temperature,
            "seed": subject.runtime.seed,
            "batch": params.pivotality.batch,
        },
        manifest=subject.manifest,
        runtime=subject.runtime,
    )


def tried_with(
    rolled: Rolled, prefix: Prefix, decision: Decision, tokenizer: "PreTrainedTokenizerBase"
) -> Tried:
    """A prefix with its text."""
    wording = rolled.question.paraphrases[rolled.paraphrase]
    text = wording.rendered + decode_after(tokenizer, wording.token_ids, prefix.tokens)
    return Tried(
        question=rolled.question.hash,
        prefix=prefix,
        decision=decision,
        rollouts=rolled.item.prompt_hash,
        n_forced=len(rolled.item.arrays["forced_token"]),
        text=text,
        is_text=encode_text(tokenizer, text) == (*wording.token_ids, *prefix.tokens),
    )


def main(profile: str, params: Params) -> None:
    """Write how far variants lie apart in answers, rollouts behind prefixes, and which of these decide."""
    subject, source = Subject(profile, params.runtime), params.profile(profile)
    answers = open_collection(subject.folder / ANSWERS.kind)
    judge = first_judge(source.answer_judges, params.judges, paid=params.mining.paid_judges)
    questions = [
        question
        for question in read_questions(subject.folder / "questions.json")
        if judge and all((question.hash, variant) in answers for variant in subject.pair)
    ]
    nothing = "" if questions else "no judge may score rollouts, or no answers are there; nothing is mined"
    if subject.uncompared:
        questions, nothing = [], subject.uncompared
    sections = {
        "mining": params.mining.model_dump(),
        "pivotality": params.pivotality.model_dump(),
        "answers": params.answers.model_dump(include={"temperature"}),
        "misalignment": params.misalignment.model_dump(include={"misaligned_below", "coherent_above"}),
    }
    nulls = [str(subject.manifest.variant(name)) for name in source.nulls]
    units = {
        other: divergence_units(subject, questions, answers, other, params.answers.batch)
        for other in (subject.focus, *nulls)
    }
    failures = subject.publish("mining", units[subject.focus], [ANSWER_DIVERGENCE], sections)
    failures += subject.publish(
        "mining",
        [unit for null in nulls for unit in units[null]],
        [ANSWER_DIVERGENCE],
        sections,
        {ANSWER_DIVERGENCE.kind: NULLS},
    )
    divergence, of_nulls = (
        open_collection(subject.folder / place) for place in (ANSWER_DIVERGENCE.kind, NULLS)
    )
    beside = {null: beside_null(units[null], of_nulls, params.mining.least_divergence) for null in nulls}
    longest = source.max_answer_tokens or params.answers.max_new_tokens
    chosen = [
        (question, prefix, fork_unit(subject, question, prefix, params, longest))
        for question in questions
        for prefix in prefixes_of(subject, question, answers, divergence, params.mining)
    ]
    forks = [unit for *_, unit in chosen]
    failures += subject.publish("mining", forks, [ROLLOUTS], sections, {ROLLOUTS.kind: PLACE})
    subject.write_failures("mining", failures)
    written = open_collection(subject.folder / PLACE)
    tried = [
        (prefix, written.item(unit.prompt_hash, subject.focus), question)
        for question, prefix, unit in chosen
        if (unit.prompt_hash, subject.focus) in written
    ]
    found: list[Tried] = []
    if judge and tried:
        # Torch takes seconds; only a judge on this machine needs it from here on.
        with nullcontext() if isinstance(params.judges[judge], LocalJudge) else without_torch():
            tokenizer = load_tokenizer(subject.manifest)
        rolled = [
            Rolled(question=question, paraphrase=prefix.paraphrase, begun=prefix.tokens, item=item)
            for prefix, item, question in tried
        ]
        forced = ask_judge(rolled, judge, params, tokenizer, subject.folder, JOURNALS)
        for of, (prefix, *_), told in zip(rolled, tried, forced, strict=True):
            decision = decide(told, params.pivotality.picking, params.pivotality.confidence)
            found.append(tried_with(of, prefix, decision, tokenizer))
    (subject.folder / JOURNALS).mkdir(exist_ok=True)
    table = mined_table(found, params.pivotality.least)
    origin = provenance("mining", subject.manifest, sections) | {"nulls": beside}
    write_dataset(subject.folder / MINING.kind, MINING, {"prefixes": table}, provenance=origin)
    metrics = mining_summary(table)
    print(f"mining: {metrics['pivotal']} of {metrics['prefixes']} prefixes are pivotal")
    write_metrics(subject.folder, "mining", {**metrics, "nulls": beside}, nothing)


if __name__ == "__main__":
    run_stage(main, Params)
