"""Stage `answers`: answers of every variant to open questions, sampled, or taken from files."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pipeline.evaluation.answer_items import IMPORTED, SAMPLED, sampling_arguments
from pipeline.evaluation.imported import Imported, import_answers
from pipeline.evaluation.question_files import Placed, read_entries
from pipeline.evaluation.questions import make_question
from pipeline.exchange.answer_files import read_answer_files
from pipeline.items.code import QualifiedName
from pipeline.items.subject import Subject
from pipeline.items.units import Unit, make_unit
from pipeline.models.tokenizer import load_tokenizer
from pipeline.params.answers import AnswerParams
from pipeline.params.project import Params
from pipeline.run.reports import write_metrics
from pipeline.run.stage import run_stage
from store.base.errors import UserError
from store.collections.item import Item
from store.collections.reader import open_collection
from store.documents.imported_scores import IMPORTED_SCORES, write_imported_scores
from store.documents.questions import Question, write_questions
from store.schema.answers import ANSWERS


def longest_prompt(context: int, longest_answer: int) -> int:
    """Tokens of a question that leave room for the longest answer.

    Raises
    ------
    UserError
        None do.
    """
    if longest_answer >= context:
        raise UserError(
            f"params.yaml: answers of {longest_answer} tokens leave no room for a question in the model's "
            f"context of {context}; give the profile a smaller max_answer_tokens."
        )
    return context - longest_answer


def samples_of(placed: Placed, question: Question, rule: AnswerParams) -> int:
    """How many answers a question gets.

    Raises
    ------
    UserError
        Neither ``params.yaml`` nor its file says.
    """
    if rule.samples is not None:
        return rule.samples
    if placed.entry.samples_per_paraphrase is None:
        raise UserError(
            f"{placed.place} has no samples_per_paraphrase, and answers.samples in params.yaml is null; give "
            "one of them."
        )
    return placed.entry.samples_per_paraphrase * len(question.paraphrases)


def answer_units(
    subject: Subject,
    asked: Sequence[tuple[Placed, Question]],
    imported: Imported,
    rule: AnswerParams,
    longest: int,
) -> list[Unit]:
    """A unit a question and variant; what a file has answers of is not sampled."""
    sampling = rule.model_dump(include={"temperature", "top_p", "batch"})
    units = []
    for placed, question in asked:
        arguments = sampling_arguments(
            question,
            seed=subject.runtime.seed,
            samples=samples_of(placed, question, rule),
            max_new_tokens=longest,
            **sampling,
        )
        units += [
            _unit(subject, SAMPLED, question.hash, variant, arguments)
            for variant in subject.variants
            if (question.hash, variant) not in imported.answers
        ]
    for question in (*(question for _, question in asked), *imported.questions):
        units += [
            _unit(
                subject,
                IMPORTED,
                question.hash,
                variant,
                {"answers": imported.answers[question.hash, variant], "wordings": len(question.paraphrases)},
            )
            for variant in subject.variants
            if (question.hash, variant) in imported.answers
        ]
    return units


def summary(items: Iterable[Item]) -> dict[str, Any]:
    """Metrics by variant: how many answers, how long, and which share was cut."""
    found: dict[str, dict[str, float]] = {}
    for item in items:
        of = found.setdefault(item.variant, {"answers": 0, "tokens": 0, "cut": 0})
        of["answers"] += len(item.arrays["answer_start"])
        of["tokens"] += len(item.arrays["answer_token"])
        of["cut"] += int((~item.arrays["answer_ended"]).sum())
    return {
        variant: {
            "answers": of["answers"],
            "mean_tokens": round(of["tokens"] / of["answers"], 4),
            "cut": round(of["cut"] / of["answers"], 4),
        }
        for variant, of in sorted(found.items())
        if of["answers"]
    }


def main(profile: str, params: Params) -> None:
    """Write ``questions.json``, the answers of a profile, and the scores that came with some."""
    subject, source = Subject(profile, params.runtime), params.profile(profile)
    longest = source.max_answer_tokens or params.answers.max_new_tokens
    placed = read_entries([Path(path) for path in source.questions])
    rows = read_answer_files([Path(path) for path in source.answers])
    context = subject.manifest.model.context
    tokenizer = load_tokenizer(subject.manifest)
    room = longest_prompt(context, longest) if placed else context
    asked = [(each, make_question(each, tokenizer, longest=room, chat=source.chat)) for each in placed]
    imported = import_answers(
        rows, asked, tokenizer, variants=subject.variants, context=context, chat=source.chat
    )
    units = answer_units(subject, asked, imported, params.answers, longest)
    questions = [question for _, question in asked]
    write_questions(subject.folder / "questions.json", [*questions, *imported.questions])
    write_imported_scores(subject.folder / IMPORTED_SCORES, imported.scores)
    sections = {"answers": {**params.answers.model_dump(), "max_new_tokens": longest}}
    subject.write_failures("answers", subject.publish("answers", units, [ANSWERS], sections))
    nothing = (
        "" if placed or rows else f"profile {profile} names no questions and no answers, so there are none"
    )
    metrics = summary(open_collection(subject.folder / ANSWERS.kind).items())
    write_metrics(subject.folder, "answers", metrics, nothing)


def _unit(
    subject: Subject, compute: QualifiedName, question_hash: str, variant: str, arguments: dict[str, Any]
) -> Unit:
    return make_unit(
        compute,
        prompt_hash=question_hash,
        token_ids=(),
        variants=[variant],
        outputs=[(ANSWERS.kind, variant)],
        arguments=arguments,
        manifest=subject.manifest,
        runtime=subject.runtime,
    )


if __name__ == "__main__":
    run_stage(main, Params)
