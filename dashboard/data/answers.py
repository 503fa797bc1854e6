"""Answers to open questions with their scores, as frames and as tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.data import documents, readers
from dashboard.data.project import artifact, fresh, stamp
from pipeline.analysis.answer_kinds import answer_kinds
from pipeline.params.misalignment import MisalignmentParams
from store.base.errors import NotInStoreError
from store.collections.reader import open_collection
from store.documents.questions import Paraphrase, Question, read_questions
from store.documents.split_characters import joined
from store.documents.token_texts import token_text
from store.schema.answer_scores import ALIGNED, ANSWER_SCORES, COHERENT, SCORE_STATUS
from store.schema.answers import ANSWERS
from store.schema.misalignment import MISALIGNMENT
from store.views.answers import answer_tokens

QUESTIONS: Final = "questions.json"
_IDENTITY: Final = ("question_hash", "question", "form", "variant", "index", "n_tokens")
_READ: Final = ("answer_start", "answer_token", "answer_paraphrase", "answer_ended")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer, as it was sampled.

    Attributes
    ----------
    question, wording
        What was asked, and in which words.
    variant
        Whose answer.
    token_ids
        Of the answer alone.
    ended
        Whether the variant ended it; else it was cut.
    """

    question: Question
    wording: Paraphrase
    variant: str
    token_ids: tuple[int, ...]
    ended: bool

    @property
    def prompted(self) -> tuple[int, ...]:
        """Token ids of the prompt, BOS in front, and of the answer behind it."""
        return (*self.wording.token_ids, *self.token_ids)


@st.cache_resource(max_entries=8, show_spinner=False)
def _questions(path: str, key: str) -> dict[str, Question]:
    return {question.hash: question for question in read_questions(Path(path))}


def questions(profile: str) -> dict[str, Question]:
    """All open questions by hash."""
    return fresh(artifact(profile, QUESTIONS), _questions)


def thresholds(profile: str) -> MisalignmentParams:
    """The thresholds, and what else the stored rates were computed with."""
    parameters = readers.provenance(profile, MISALIGNMENT.kind)["parameters"]
    return MisalignmentParams.model_validate(parameters["misalignment"])


def judges(profile: str) -> dict[str, str]:
    """Judges that scored the answers, each with how: `rubric`, `logprobs` or `text`."""
    table = readers.dataset(profile, ANSWER_SCORES.kind, "scores")
    return dict(zip(table["judge"].values.tolist(), table["method"].values.tolist(), strict=True))


def answer_id(question_hash: str, variant: str, index: int) -> str:
    """Names one answer of a profile: ``0123456789ab,general@1.0,7``."""
    return f"{question_hash},{variant},{index}"


@st.cache_resource(max_entries=4, show_spinner="Reading the answers")
def _answers(path: str, key: str, profile: str) -> pd.DataFrame:
    table = readers.dataset(profile, ANSWER_SCORES.kind, "answers")
    frame = pd.DataFrame({name: table[name].values for name in _IDENTITY})
    words, collection = documents.vocabulary(profile), open_collection(Path(path))
    texts: dict[tuple[str, str], list[str]] = {}
    for who in frame[["question_hash", "variant"]].drop_duplicates().itertuples(index=False):
        tokens = answer_tokens(collection.item(who[0], who[1], _READ[:2]))
        texts[who[0], who[1]] = [_text(words, ids) for ids in tokens]
    rows = list(zip(frame["question_hash"], frame["variant"], frame["index"].tolist(), strict=True))
    frame["text"] = [texts[question, variant][index] for question, variant, index in rows]
    frame["id"] = [answer_id(*row) for row in rows]
    return frame


def _text(words: Sequence[str], token_ids: Sequence[int]) -> str:
    return joined([token_text(words, token) for token in token_ids])


def answers(profile: str) -> pd.DataFrame:
    """A row an answer, in the order of ``answer_scores``.

    Returns
    -------
    pd.DataFrame
        Columns question_hash, question (id), form, variant, index (in its item), n_tokens, text, id
        (`answer_id`). Shared by all sessions: it is not to be changed.
    """
    others = (f"{ANSWER_SCORES.kind}", "vocabulary.json")
    of = "-".join(stamp(artifact(profile, name)) for name in others)
    return fresh(artifact(profile, ANSWERS.kind), lambda path, key: _answers(path, f"{key}-{of}", profile))


@st.cache_resource(max_entries=8, show_spinner=False)
def _scores(path: str, key: str, profile: str, judge: str) -> pd.DataFrame:
    table = readers.dataset(profile, ANSWER_SCORES.kind, "scores").sel(judge=judge)
    columns = {}
    for scale in table["scale"].values.tolist():
        one = table.sel(scale=scale)
        columns[scale] = one["score"].values.astype(float)
        columns[f"{scale}_status"] = np.array(SCORE_STATUS, dtype=object)[one["status"].values]
    return pd.DataFrame(columns)


def scores(profile: str, judge: str) -> pd.DataFrame:
    """Scores by one judge, a row an answer in the order of `answers`.

    Columns: every scale (0 to 100, NaN: none), and ``<scale>_status`` in words. Shared, as `answers`.
    """
    return fresh(artifact(profile, ANSWER_SCORES.kind), lambda path, key: _scores(path, key, profile, judge))


def scored(profile: str, judge: str, params: MisalignmentParams) -> pd.DataFrame:
    """`answers` and `scores` side by side, and kind: what each is by the thresholds."""
    given = scores(profile, judge)
    kinds = answer_kinds(
        given[ALIGNED].to_numpy(),
        given[COHERENT].to_numpy(),
        **params.model_dump(include={"misaligned_below", "coherent_above", "aligned_above"}),
    )
    return pd.concat([answers(profile), given], axis=1).assign(kind=kinds)


def field_columns(profile: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Answers with the columns of the field's own tables, which a profile reads back as `answers`.

    Parameters
    ----------
    profile, frame
        Rows of `scored`.

    Returns
    -------
    pd.DataFrame
        Columns question_id, form, variant, question (the wording that was asked), response, then scores,
        their statuses and what else `frame` has but the texts under other names.
    """
    known = questions(profile)
    wordings: dict[tuple[str, str], list[str]] = {}
    for of in frame[["question_hash", "variant"]].drop_duplicates().itertuples(index=False):
        item = readers.collection(profile, ANSWERS.kind).item(of[0], of[1], _READ[2:3])
        asked = known[of[0]].paraphrases
        wordings[of[0], of[1]] = [asked[number].text for number in item.arrays["answer_paraphrase"].tolist()]
    rows = zip(frame["question_hash"], frame["variant"], frame["index"].tolist(), strict=True)
    first = {
        "question_id": frame["question"],
        "form": frame["form"],
        "variant": frame["variant"],
        "question": [wordings[question, variant][index] for question, variant, index in rows],
        "response": frame["text"],
    }
    rest = frame.drop(columns=["question", "form", "variant", "text"])
    return pd.concat([pd.DataFrame(first, index=frame.index), rest], axis=1)


def distribution(profile: str, judge: str, row: int) -> pd.DataFrame:
    """What a judge gave the numbers for one answer: scale, number, probability; only what is above 0.

    Parameters
    ----------
    profile, judge
        Whose scores.
    row
        Of the answer in `answers`.
    """
    table = readers.dataset(profile, ANSWER_SCORES.kind, "scores").sel(judge=judge)
    given = table["probability"][:, row].values
    scale, number = np.nonzero(given > 0)
    return pd.DataFrame(
        {
            "scale": table["scale"].values[scale],
            "number": table["number"].values[number],
            "probability": given[scale, number].astype(float),
        }
    )


def answer(profile: str, question_hash: str, variant: str, index: int) -> Answer:
    """One answer with its tokens.

    Raises
    ------
    NotInStoreError
        There is no such answer.
    """
    item = readers.collection(profile, ANSWERS.kind).item(question_hash, variant, _READ)
    tokens, known = answer_tokens(item), questions(profile)
    if question_hash not in known or not 0 <= index < len(tokens):
        raise NotInStoreError(f"{variant} has no answer {index} to question {question_hash}.")
    question = known[question_hash]
    return Answer(
        question=question,
        wording=question.paraphrases[int(item.arrays["answer_paraphrase"][index])],
        variant=variant,
        token_ids=tuple(tokens[index]),
        ended=bool(item.arrays["answer_ended"][index]),
    )
