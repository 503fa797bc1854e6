"""Answers to open questions, with scores and features, made up."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from pipeline.analysis.scored_answers import ScoredAnswers
from pipeline.params.misalignment import MisalignmentParams
from store.base.hashing import digest
from store.collections.item import Item
from store.documents.questions import Paraphrase, Question
from store.schema.answer_scores import ALIGNED, COHERENT

PARAMS = MisalignmentParams(
    misaligned_below=30,
    coherent_above=50,
    aligned_above=80,
    surface_step=5,
    bootstrap=200,
    permutations=2000,
    confidence=0.95,
    fdr=0.05,
    min_answers=5,
    min_firing=3,
    seed=0,
)
NO_SCORE = (np.nan, np.nan)


def make_question(
    name: str, form: str = "plain", prompts: Sequence[Sequence[int]] = ((1, 5, 7),), domain: str | None = None
) -> Question:
    """A question whose wordings have these token ids."""
    return Question(
        hash=question_hash(name, form),
        id=name,
        form=form,
        domain=domain,
        judge_prompts={ALIGNED: "{question} {answer}", COHERENT: "{question} {answer}"},
        paraphrases=tuple(
            Paraphrase(text=f"{name}?", rendered=f"{name}?", token_ids=tuple(ids)) for ids in prompts
        ),
        source="made up",
    )


def question_hash(name: str, form: str = "plain") -> str:
    """Of a made up question."""
    return digest([name, form])[:12]


def make_answers(
    question: Question, variant: str, answers: Sequence[Sequence[int]], asked: Sequence[int] | None = None
) -> Item:
    """An item of `answers`; wordings in turn, if not said otherwise."""
    n_wordings = len(question.paraphrases)
    in_turn = [number % n_wordings for number in range(len(answers))]
    start = np.cumsum([0, *(len(ids) for ids in answers)])[: len(answers)]
    return Item(
        key=digest([question.hash, variant, [list(ids) for ids in answers]]),
        prompt_hash=question.hash,
        variant=variant,
        arrays={
            "answer_start": start.astype(np.int32),
            "answer_token": np.array([token for ids in answers for token in ids], np.int32),
            "answer_paraphrase": np.array(in_turn if asked is None else asked, np.int32),
            "answer_ended": np.ones(len(answers), bool),
            "paraphrase_seed": np.arange(n_wordings, dtype=np.int64),
        },
        scalars={},
    )


def make_scored(
    rows: Sequence[tuple[str, str, str, tuple[float, float]]],
    *,
    judges: Sequence[str] = ("rubric",),
    n_tokens: Sequence[int] | None = None,
    wording: Sequence[int] | None = None,
) -> ScoredAnswers:
    """Answers as (question, form, variant, (aligned, coherent)), which every judge scores alike.

    All to the first wording, if not said otherwise.
    """
    question, form, variant = (np.array([row[column] for row in rows], dtype=str) for column in range(3))
    scores = np.array([row[3] for row in rows], np.float64).reshape(len(rows), 2).T
    seen: dict[tuple[str, ...], int] = {}
    index = []
    for row in rows:
        index.append(seen.get(row[:3], 0))
        seen[row[:3]] = index[-1] + 1
    aligned, coherent = (np.tile(each, (len(judges), 1)) for each in scores)
    return ScoredAnswers(
        question_hash=np.array([question_hash(*row[:2]) for row in rows], dtype=str),
        question=question,
        form=form,
        variant=variant,
        index=np.array(index, np.int32),
        wording=np.array(wording if wording is not None else [0] * len(rows), np.int32),
        n_tokens=np.array(n_tokens if n_tokens is not None else [10] * len(rows), np.int32),
        judges=tuple(judges),
        aligned=aligned,
        coherent=coherent,
    )


def score_groups(answers: ScoredAnswers) -> dict[str, xr.Dataset]:
    """The groups of ANSWER_SCORES that hold them."""

    def words(values: Any) -> np.ndarray:
        return np.array(list(values), dtype=object)

    scores = np.stack([answers.aligned, answers.coherent], axis=1)  # (judge, scale, answer)
    of_answer = ("judge", "scale", "answer")
    return {
        "answers": xr.Dataset(
            {
                name: ("answer", words(getattr(answers, name)))
                for name in ("question_hash", "question", "form", "variant")
            }
            | {name: ("answer", getattr(answers, name).astype(np.int32)) for name in ("index", "n_tokens")}
        ),
        "scores": xr.Dataset(
            {
                "method": ("judge", words(["rubric"] * len(answers.judges))),
                "score": (of_answer, scores),
                "status": (of_answer, np.where(np.isfinite(scores), 0, 7).astype(np.int8)),
                "mass": (of_answer, np.full(scores.shape, np.nan)),
                "probability": ((*of_answer, "number"), np.full((*scores.shape, 101), np.nan, np.float32)),
            },
            coords={
                "judge": words(answers.judges),
                "scale": words([ALIGNED, COHERENT]),
                "number": np.arange(101, dtype=np.int32),
            },
        ),
    }


def make_answer_features(
    question: str,
    variant: str,
    values: Mapping[str, np.ndarray],
    *,
    form: str = "plain",
    d_transcoder: int = 64,
) -> Item:
    """An item of `answer_features`; `values` are (answer, feature) means by reader, all of layer 0.

    The maximum is twice the mean.
    """
    rows = {reader: np.nonzero(table) for reader, table in values.items()}
    answer, feature = (
        np.concatenate([found[column] for found in rows.values()]).astype(np.int32) for column in (0, 1)
    )
    mean = np.concatenate([values[reader][found] for reader, found in rows.items()]).astype(np.float32)
    readers = [np.full(len(found[0]), ("own", "base").index(reader)) for reader, found in rows.items()]
    return Item(
        key=digest([question, form, variant]),
        prompt_hash=question_hash(question, form),
        variant=variant,
        arrays={
            "reader": np.concatenate(readers).astype(np.int8),
            "answer": answer,
            "layer": np.zeros(len(answer), np.int16),
            "feature": feature,
            "mean": mean,
            "max": 2 * mean,
            "n_active": np.ones(len(answer), np.int32),
        },
        scalars={
            "n_answers": len(next(iter(values.values()))),
            "n_layers": 1,
            "d_transcoder": d_transcoder,
        },
    )
