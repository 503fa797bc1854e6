"""Answers that others sampled: each row of a file given its question, wording and variant, and tokenized."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from pipeline.evaluation.answer_rows import AnswerRow
from pipeline.evaluation.question_files import Placed, QuestionEntry, form_of
from pipeline.evaluation.questions import make_question
from pipeline.prompts.rendering import longer_than
from pipeline.text.chats import PLAIN, Chat
from pipeline.text.json_lines import sentence
from pipeline.text.tokens import encode_answer
from store.base.errors import UserError
from store.base.parsing import quoted
from store.documents.imported_scores import Given
from store.documents.questions import Question

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Answers = dict[tuple[str, str], list[tuple[int, list[int]]]]
"""By question hash and variant: which wording each answer is to, and its token ids, in the rows' order."""


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What rows hold.

    Attributes
    ----------
    questions
        Those that are in no question file.
    answers
        All of them.
    scores
        Of each answer those that its row has, in the same order.
    """

    questions: tuple[Question, ...]
    answers: Answers
    scores: Given


def import_answers(
    rows: Sequence[AnswerRow],
    asked: Sequence[tuple[Placed, Question]],
    tokenizer: "PreTrainedTokenizerBase",
    *,
    variants: Sequence[str],
    context: int,
    chat: Chat = PLAIN,
) -> Imported:
    """Give every row its question, and its token ids.

    A question that is in none of the profile's files becomes one of its own, asked and judged as the
    first of those files' is.

    Parameters
    ----------
    rows
        Of all files.
    asked
        Questions of the profile's files, each with its entry.
    tokenizer
        Of the profile.
    variants
        Those there are.
    context
        So many tokens the model reads.
    chat
        Switches of the chat template.

    Raises
    ------
    UserError
        A row is of an unknown variant, of a question that nobody knows how to judge, of another wording
        than the question has, or longer than the model reads; the message names its place.
    """
    named = {variant.removesuffix("@1.0"): variant for variant in variants}
    known = {(question.id, question.form): question for _, question in asked}
    own = _own_questions(rows, known, asked, tokenizer, context, chat)
    questions = known | own
    answers: Answers = {}
    scores: dict[tuple[str, str], list[Mapping[str, float]]] = {}
    for row in rows:
        question = questions[_identity(row)]
        variant = named.get(row.variant.removesuffix("@1.0"))
        if variant is None:
            raise UserError(
                f"{row.place}: there is no variant {quoted(row.variant)} in this profile, only "
                f"{', '.join(variants)}; name one of them as `variant`, or the file by it."
            )
        wording = next((i for i, one in enumerate(question.paraphrases) if one.text == row.question), None)
        if wording is None:
            raise UserError(
                f"{row.place}: {quoted(row.question)} is no wording of question {quoted(question.id)} in the "
                f"form {quoted(question.form)}; add it to {question.source} or give the row another id."
            )
        ids = _token_ids(row, tokenizer, context - len(question.paraphrases[wording].token_ids))
        answers.setdefault((question.hash, variant), []).append((wording, ids))
        scores.setdefault((question.hash, variant), []).append(row.scores)
    return Imported(questions=tuple(own.values()), answers=answers, scores=scores)


def _identity(row: AnswerRow) -> tuple[str, str]:
    form = form_of(row.question_id) if row.form is None else row.form
    return row.question_id.removesuffix(f"_{form}"), form


def _own_questions(
    rows: Sequence[AnswerRow],
    known: dict[tuple[str, str], Question],
    asked: Sequence[tuple[Placed, Question]],
    tokenizer: "PreTrainedTokenizerBase",
    context: int,
    chat: Chat,
) -> dict[tuple[str, str], Question]:
    """Questions of rows that no file asks, wordings in the order of the rows."""
    wordings: dict[tuple[str, str], dict[str, None]] = {}
    first: dict[tuple[str, str], AnswerRow] = {}
    for row in rows:
        identity = _identity(row)
        if identity not in known:
            first.setdefault(identity, row)
            wordings.setdefault(identity, {})[row.question] = None
    found = {}
    for identity, row in first.items():
        if not asked:
            raise UserError(
                f"{row.place}: question {quoted(row.question_id)} is in no question file, so that nobody "
                "knows how to judge it; name a file that has it, or one to take judge_prompts from, as "
                "`questions` of the profile in params.yaml."
            )
        like, _ = asked[0]
        given = {
            "id": identity[0],
            "form": identity[1],
            "paraphrases": list(wordings[identity]),
            **like.entry.model_dump(include={"judge_prompts", "domain", "text"}),
        }
        try:
            entry = QuestionEntry.model_validate(given)
        except ValidationError as error:
            raise UserError(f"{row.place}: {sentence(error, QuestionEntry, every='row')}") from error
        placed = Placed(entry=entry, path=row.place, line=None)
        found[identity] = make_question(placed, tokenizer, longest=context - 1, chat=chat)
    return found


def _token_ids(row: AnswerRow, tokenizer: "PreTrainedTokenizerBase", room: int) -> list[int]:
    too_long = f"more than the {room} tokens that the model reads behind its question; shorten or delete it"
    if longer_than(room, [row.response]) is not None:
        raise UserError(f"{row.place}: the answer is {too_long}.")
    ids = encode_answer(tokenizer, row.response)
    if len(ids) > room:
        raise UserError(f"{row.place}: the answer has {len(ids)} tokens, {too_long}.")
    return ids
