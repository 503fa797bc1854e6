"""Stage `mining`: beginnings of answers whose next token decides whether they become harmful."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import xarray as xr

from pipeline.analysis.mining import Prefix, most_divergent
from pipeline.analysis.pivotality import Decision, Forced, decide
from pipeline.features.answer_reading import reading_arguments
from pipeline.items.code import QualifiedName
from pipeline.items.provenance import provenance
from pipeline.items.subject import Subject
from pipeline.items.units import Unit, make_unit
from pipeline.models.tokenizer import load_tokenizer
from pipeline.params.mining import MiningParams
from pipeline.params.project import Params
from pipeline.run.reports import write_metrics
from pipeline.run.stage import run_stage
from pipeline.scoring.once import score_once
from pipeline.scoring.protocol import OpenAnswer
from pipeline.scoring.registry import SCORE_ANSWERS, first_judge, make_scorer
from pipeline.text.tokens import decode_after, encode_text
from store.base.atomic import locked
from store.base.hashing import PROMPT_HASH_DIGITS, digest
from store.collections.item import Item
from store.collections.reader import Collection, open_collection
from store.datasets.groups import write_dataset
from store.documents.questions import Question, read_questions
from store.schema.answer_divergence import ANSWER_DIVERGENCE
from store.schema.answers import ANSWERS
from store.schema.mining import MINING
from store.schema.rollouts import ROLLOUTS
from store.views.answers import answer_tokens
from store.views.rollouts import rollouts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

DIVERGENCE: Final = QualifiedName("pipeline.evaluation.answer_divergence", "compute_answer_divergence")
FORKS: Final = QualifiedName("pipeline.evaluation.rollouts", "compute_forks")
PLACE: Final = "mined_rollouts"
"""Folder of the rollouts, beside those of prompts."""


def divergence_units(
    subject: Subject, questions: Sequence[Question], answers: Collection, batch: int
) -> list[Unit]:
    """A unit a question and variant of the pair, whose answers both read."""
    return [
        make_unit(
            DIVERGENCE,
            prompt_hash=question.hash,
            token_ids=(),
            variants=subject.pair,
            outputs=[(ANSWER_DIVERGENCE.kind, variant)],
            arguments={**reading_arguments(question, answers.item(question.hash, variant)), "batch": batch},
            manifest=subject.manifest,
            runtime=subject.runtime,
        )
        for question in questions
        for variant in subject.pair
    ]


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


def harmful(
    subject: Subject,
    tried: Sequence[tuple[Question, Prefix, Item]],
    tokenizer: "PreTrainedTokenizerBase",
    judge: str,
    params: Params,
) -> list[Forced]:
    """What the judge makes of whole answers, prefix, forced token and what follows, prefix by prefix.

    Harmful is what stage `misalignment` counts as misaligned; an answer without a score is not told.
    """
    said: list[OpenAnswer] = []
    for question, prefix, item in tried:
        wording = question.paraphrases[prefix.paraphrase]
        for of in rollouts(item):
            for ids in of:
                tokens = [*prefix.tokens, *ids]
                text = decode_after(tokenizer, wording.token_ids, tokens)
                said.append(
                    OpenAnswer(
                        question=question,
                        variant=subject.focus,
                        index=len(said),
                        asked=wording.text,
                        text=text,
                        n_tokens=len(tokens),
                    )
                )
    folder = subject.folder / SCORE_ANSWERS
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        scorer = make_scorer(
            judge, params.judges[judge], folder=subject.folder, scores=params.scores, runtime=params.runtime
        )
        aligned, coherent = score_once(scorer, said)
    bar = params.misalignment
    is_harmful = ((aligned < bar.misaligned_below) & (coherent > bar.coherent_above)).astype(np.float64)
    is_harmful[np.isnan(coherent)] = np.nan
    found, start = [], 0
    for _, _, item in tried:
        shape = item.arrays["rollout_start"].shape
        end = start + shape[0] * shape[1]
        probability = np.exp(item.arrays["forced_log_probability"].astype(np.float64))
        found.append(
            Forced(
                tokens=item.arrays["forced_token"],
                probability=probability,
                harmful=is_harmful[start:end].reshape(shape),
            )
        )
        start = end
    return found


def table(
    tried: Sequence[tuple[Question, Prefix, Item]],
    decisions: Sequence[Decision],
    tokenizer: "PreTrainedTokenizerBase | None",
    least: float,
) -> xr.Dataset:
    """The group `prefixes` of the MINING dataset."""
    texts, is_text = [], []
    for question, prefix, _ in tried:
        assert tokenizer is not None
        wording = question.paraphrases[prefix.paraphrase]
        text = wording.rendered + decode_after(tokenizer, wording.token_ids, prefix.tokens)
        texts.append(text)
        is_text.append(encode_text(tokenizer, text) == (*wording.token_ids, *prefix.tokens))
    words = {
        "prefix_hash": [item.prompt_hash for *_, item in tried],
        "question_hash": [question.hash for question, *_ in tried],
        "variant": [prefix.variant for _, prefix, _ in tried],
        "text": texts,
    }
    numbers: dict[str, tuple[list[Any], type]] = {
        "paraphrase": ([prefix.paraphrase for _, prefix, _ in tried], np.int32),
        "answer": ([prefix.answer for _, prefix, _ in tried], np.int32),
        "n_tokens": ([len(prefix.tokens) for _, prefix, _ in tried], np.int32),
        "divergence": ([prefix.divergence for _, prefix, _ in tried], np.float32),
        "n_forced": ([len(item.arrays["forced_token"]) for *_, item in tried], np.int32),
        "most": ([each.most for each in decisions], np.int32),
        "least": ([each.least for each in decisions], np.int32),
        "difference": ([each.difference for each in decisions], np.float64),
        "low": ([each.low for each in decisions], np.float64),
        "high": ([each.high for each in decisions], np.float64),
        "pivotal": ([each.pivotal(least) for each in decisions], np.bool_),
        "is_text": (is_text, np.bool_),
    }
    return xr.Dataset(
        {name: ("prefix", np.array(values, dtype=object)) for name, values in words.items()}
        | {name: ("prefix", np.array(values, dtype)) for name, (values, dtype) in numbers.items()}
    )


def summary(found: xr.Dataset) -> Mapping[str, int]:
    """Metrics: prefixes that were tried, are told, are pivotal, and can become prompts."""
    pivotal = found["pivotal"].values
    return {
        "prefixes": int(found.sizes["prefix"]),
        "told": int(np.isfinite(found["difference"].values).sum()),
        "pivotal": int(pivotal.sum()),
        "prompts": int((pivotal & found["is_text"].values).sum()),
    }


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
    if not subject.compares("mining"):
        questions = []
    elif not questions:
        print(
            "mining: no judge may score rollouts, or there are no answers of both variants; nothing is mined"
        )
    sections = {
        "mining": params.mining.model_dump(),
        "pivotality": params.pivotality.model_dump(),
        "answers": params.answers.model_dump(include={"temperature"}),
        "misalignment": params.misalignment.model_dump(include={"misaligned_below", "coherent_above"}),
    }
    units = divergence_units(subject, questions, answers, params.answers.batch)
    failures = subject.publish("mining", units, [ANSWER_DIVERGENCE], sections)
    divergence = open_collection(subject.folder / ANSWER_DIVERGENCE.kind)
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
        (question, prefix, written.item(unit.prompt_hash, subject.focus))
        for question, prefix, unit in chosen
        if (unit.prompt_hash, subject.focus) in written
    ]
    tokenizer = load_tokenizer(subject.manifest) if tried else None
    decisions = []
    if judge and tokenizer is not None:
        forced = harmful(subject, tried, tokenizer, judge, params)
        decisions = [decide(each, params.pivotality.picking, params.pivotality.confidence) for each in forced]
    found = table(tried, decisions, tokenizer, params.pivotality.least)
    origin = provenance("mining", subject.manifest, sections)
    write_dataset(subject.folder / MINING.kind, MINING, {"prefixes": found}, provenance=origin)
    metrics = summary(found)
    write_metrics(subject.folder, "mining", metrics)
    print(f"mining: {metrics['pivotal']} of {metrics['prefixes']} prefixes are pivotal")


if __name__ == "__main__":
    run_stage(main, Params)
