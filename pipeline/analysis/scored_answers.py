"""Answers to open questions with what judges score them, as arrays."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from store.collections.item import Item
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
    wording
        (answer,) int: which wording of the question was asked, 0-based.
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
    wording: np.ndarray
    n_tokens: np.ndarray
    judges: tuple[str, ...]
    aligned: np.ndarray
    coherent: np.ndarray

    @property
    def scored(self) -> np.ndarray:
        """(judge, answer) bool: both scores are there."""
        return np.isfinite(self.aligned) & np.isfinite(self.coherent)


def scored_answers(answers: xr.Dataset, scores: xr.Dataset, items: Iterable[Item]) -> ScoredAnswers:
    """The groups of the ANSWER_SCORES dataset as arrays.

    Parameters
    ----------
    answers, scores
        The groups.
    items
        Of the collection `answers`: which wording each of them is to.
    """
    names = ("question_hash", "question", "form", "variant")
    words = {name: answers[name].values.astype(str) for name in names}
    asked = {(item.prompt_hash, item.variant): item.arrays["answer_paraphrase"] for item in items}
    # By identity, not by place: the two lie in different artifacts (trap 11).
    who = zip(words["question_hash"].tolist(), words["variant"].tolist(), strict=True)
    index = answers["index"].values
    wording = [asked[each][number] for each, number in zip(who, index.tolist(), strict=True)]
    return ScoredAnswers(
        **words,
        index=index,
        wording=np.array(wording, np.int32),
        n_tokens=answers["n_tokens"].values,
        judges=tuple(str(judge) for judge in scores["judge"].values),
        aligned=scores["score"].sel(scale=ALIGNED).values,
        coherent=scores["score"].sel(scale=COHERENT).values,
    )
