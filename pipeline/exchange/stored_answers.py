"""Answers of a profile as rows for other programs, with a judge's scores where there are any."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.evaluation.answer_rows import AnswerRow
from pipeline.evaluation.question_files import PLAIN
from pipeline.text.tokens import decode_after
from store.base.errors import UserError
from store.collections.reader import open_collection
from store.datasets.groups import open_dataset
from store.documents.questions import Paraphrase, Question, read_questions
from store.schema.answer_scores import ANSWER_SCORES
from store.schema.answers import ANSWERS
from store.views.answers import answer_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Scores = dict[tuple[str, str, int], dict[str, float]]
"""By question hash, variant and place in the item: scores by scale."""


def stored_rows(
    folder: Path, tokenizer: "PreTrainedTokenizerBase", *, variant: str | None, judge: str | None
) -> Iterator[AnswerRow]:
    """Answers of a profile, questions in the order of ``questions.json``, then variants, then as they lie.

    Parameters
    ----------
    folder
        The profile's artifacts.
    tokenizer
        Of the profile.
    variant
        Only its answers; None: all.
    judge
        Whose scores go with them; None: the first one's, or none where nobody has scored yet.

    Raises
    ------
    UserError
        There is no such judge.
    ArtifactMissingError
        The stage `answers` has not run.
    """
    scores = _scores(folder / ANSWER_SCORES.kind, judge)
    for question, of, index, asked, ids in _stored(folder, variant):
        yield AnswerRow(
            place="",
            question_id=field_id(question),
            form=question.form,
            variant=of,
            question=asked.text,
            response=decode_after(tokenizer, asked.token_ids, ids),
            scores=scores.get((question.hash, of, index), {}),
        )


def stored_texts(folder: Path, tokenizer: "PreTrainedTokenizerBase", *, variant: str | None) -> Iterator[str]:
    """Each question with its answer, a text for ``texts`` of a profile, in the order of `stored_rows`.

    Special tokens (a chat's, BOS) stand in it as the tokenizer spells them, so that it is read as it was
    written; where a model chose other tokens than the tokenizer makes of the same characters, by these.

    Parameters
    ----------
    folder, tokenizer, variant
        As of `stored_rows`.

    Raises
    ------
    ArtifactMissingError
        The stage `answers` has not run.
    """
    for _, _, _, asked, ids in _stored(folder, variant):
        yield tokenizer.decode([*asked.token_ids, *ids], clean_up_tokenization_spaces=False)


def _stored(
    folder: Path, variant: str | None
) -> Iterator[tuple[Question, str, int, Paraphrase, Sequence[int]]]:
    """Question, variant, place in the item, wording and token ids of every answer."""
    answers = open_collection(folder / ANSWERS.kind)
    names = answers.index[["prompt_hash", "variant"]].itertuples(index=False)
    there = {(str(question), str(of)) for question, of in names}
    for question in read_questions(folder / "questions.json"):
        for of in sorted(of for asked, of in there if asked == question.hash):
            if variant is not None and of != variant:
                continue
            item = answers.item(question.hash, of)
            wordings = item.arrays["answer_paraphrase"].tolist()
            for index, (wording, ids) in enumerate(zip(wordings, answer_tokens(item), strict=True)):
                yield question, of, index, question.paraphrases[wording], ids


def field_id(question: Question) -> str:
    """A question's id as the field writes it: the form is its suffix."""
    return question.id if question.form == PLAIN else f"{question.id}_{question.form}"


def _scores(path: Path, judge: str | None) -> Scores:
    if judge is None and not path.exists():
        return {}
    answers, scores = open_dataset(path, "answers").load(), open_dataset(path, "scores").load()
    judges = [str(name) for name in scores["judge"].values]
    if judge is None and not judges:
        return {}
    if judge is not None and judge not in judges:
        raise UserError(f"There is no judge '{judge}' in {path}; there is {', '.join(judges) or 'none'}.")
    row = 0 if judge is None else judges.index(judge)
    scales = [str(name) for name in scores["scale"].values]
    found: Scores = {}
    # By identity, not by place: the two lie in different files (trap 11).
    for number, (question, variant, index) in enumerate(
        zip(answers["question_hash"].values, answers["variant"].values, answers["index"].values, strict=True)
    ):
        values = scores["score"].values[row, :, number]
        found[str(question), str(variant), int(index)] = {
            scale: float(value) for scale, value in zip(scales, values, strict=True) if np.isfinite(value)
        }
    return found
