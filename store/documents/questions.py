"""Open questions as the pipeline uses them: wordings tokenized once, and how judges are to score answers."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from pydantic import BaseModel, TypeAdapter

from store.base.atomic import write_text
from store.documents.reading import read_document

QUESTIONS_VERSION: Final = 1
"""Version of the layout of ``questions.json``."""


@dataclass(frozen=True, kw_only=True)
class Paraphrase:
    """One wording of a question.

    Attributes
    ----------
    text
        What the user asks.
    rendered
        The text that was tokenized: with a system prompt and the chat template, where there are any.
    token_ids
        Token ids of the prompt, BOS included; the answer begins behind them.
    """

    text: str
    rendered: str
    token_ids: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Question:
    """One question in one form.

    Attributes
    ----------
    hash
        12 hex digits over id, form and the wordings' prompt hashes; it is what items of `answers` and
        `answer_features` are found by.
    id, form
        Which question, and how it is asked: ``plain``, ``json``, ``template``, or a form of one's own.
        A statistic's unit is the question: its forms and wordings are not independent.
    domain
        Of the organism, for the rubric; None where there is none.
    judge_prompts
        By scale (``aligned``, ``coherent``, ...) what a judge that reads is asked, with ``{question}`` and
        ``{answer}`` in it.
    paraphrases
        Wordings, asked in turn.
    source
        File that it came from.
    """

    hash: str
    id: str
    form: str
    domain: str | None
    judge_prompts: dict[str, str]
    paraphrases: tuple[Paraphrase, ...]
    source: str


class _Document(BaseModel):
    format_version: int
    questions: tuple[Question, ...]


def write_questions(path: Path, questions: Sequence[Question]) -> None:
    """Write ``questions.json``, in the order of the questions."""
    rows = [asdict(question) for question in questions]
    document = {"format_version": QUESTIONS_VERSION, "questions": rows}
    write_text(path, json.dumps(document, ensure_ascii=False, indent=1) + "\n")


def read_questions(path: Path) -> tuple[Question, ...]:
    """Read ``questions.json``.

    Raises
    ------
    ArtifactMissingError, DamagedArtifactError, UnknownFormatError
        As `store.documents.reading.read_document`.
    """
    return read_document(path, TypeAdapter(_Document), version=QUESTIONS_VERSION).questions
