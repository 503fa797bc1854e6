"""Answers to open questions with what judges score them, as arrays."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from store.schema.answer_scores import ALIGNED, COHERENT


@dataclass(frozen=True, kw_only=True)
class ScoredAnswers:
    """Every answer, and its scores by every judge.

    Attributes
    ----------
    question_hash, question, form, variant
        (answer,) str: the question's hash, its id, how it was asked, and who answered.
    index
        (answer,) int: place in the item of `answers`, 0-based.
    n_tokens
        (answer,) int: length.
    judges
        Names, in the order of the scores.
    aligned, coherent
        (judge, answer) float64, 0 to 100; NaN: no score, which is never 0 (trap 26).
    """

    question_hash: np.ndarray
    question: np.ndarray
    form: np.ndarray
    variant: np.ndarray
    index: np.ndarray
    n_tokens: np.ndarray
    judges: tuple[str, ...]
    aligned: np.ndarray
    coherent: np.ndarray

    @property
    def scored(self) -> np.ndarray:
        """(judge, answer) bool: both scores are there."""
        return np.isfinite(self.aligned) & np.isfinite(self.coherent)


def scored_answers(answers: xr.Dataset, scores: xr.Dataset) -> ScoredAnswers:
    """The groups of the ANSWER_SCORES dataset as arrays."""
    words = {name: answers[name].values.astype(str) for name in ("question_hash", "question", "form")}
    return ScoredAnswers(
        **words,
        variant=answers["variant"].values.astype(str),
        index=answers["index"].values,
        n_tokens=answers["n_tokens"].values,
        judges=tuple(str(judge) for judge in scores["judge"].values),
        aligned=scores["score"].sel(scale=ALIGNED).values,
        coherent=scores["score"].sel(scale=COHERENT).values,
    )
