"""Scores as a dataset, and what they add up to."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np
import xarray as xr

from pipeline.analysis.judge_scores import NUMBERS, Scored
from pipeline.scoring.protocol import OpenAnswer, Scorer, Scores
from store.schema.answer_scores import ALIGNED, COHERENT, SCORE_STATUS

_NOT_ASKED = Scored(status="not asked")


def score_groups(
    answers: Sequence[OpenAnswer], scores: Mapping[str, Scores], methods: Mapping[str, str]
) -> dict[str, xr.Dataset]:
    """The groups of the ANSWER_SCORES dataset.

    Parameters
    ----------
    answers
        All of a profile.
    scores, methods
        Of each judge, by its name.
    """
    others = {scale for answer in answers for scale in answer.question.judge_prompts} - {ALIGNED, COHERENT}
    scales = [ALIGNED, COHERENT, *sorted(others)]
    shape = (len(scores), len(scales), len(answers))
    score, mass = np.full(shape, np.nan), np.full(shape, np.nan)
    status = np.zeros(shape, np.int8)
    probability = np.full((*shape, NUMBERS), np.nan, np.float32)
    for judge, of in enumerate(scores.values()):
        for at, scale in enumerate(scales):
            for place in range(len(answers)):
                each = of.get((place, scale), _NOT_ASKED)
                cell = judge, at, place
                score[cell], mass[cell], status[cell] = each.score, each.mass, SCORE_STATUS.index(each.status)
                if each.probability is not None:
                    probability[cell] = each.probability
    dims = ("judge", "scale", "answer")
    return {
        "answers": xr.Dataset(
            {
                "question_hash": ("answer", _words(answer.question.hash for answer in answers)),
                "question": ("answer", _words(answer.question.id for answer in answers)),
                "form": ("answer", _words(answer.question.form for answer in answers)),
                "variant": ("answer", _words(answer.variant for answer in answers)),
                "index": ("answer", np.array([answer.index for answer in answers], np.int32)),
                "n_tokens": ("answer", np.array([answer.n_tokens for answer in answers], np.int32)),
            }
        ),
        "scores": xr.Dataset(
            {
                "method": ("judge", _words(methods[name] for name in scores)),
                "score": (dims, score),
                "status": (dims, status),
                "mass": (dims, mass),
                "probability": ((*dims, "number"), probability),
            },
            coords={
                "judge": _words(scores),
                "scale": _words(scales),
                "number": np.arange(NUMBERS, dtype=np.int32),
            },
        ),
    }


def summary(answers: Sequence[OpenAnswer], scores: Scores, scorer: Scorer) -> dict[str, Any]:
    """Metrics: by scale, answers by status and mean score by variant; and what the answers took, ever."""
    status: dict[str, Counter[str]] = defaultdict(Counter)
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for (place, scale), each in scores.items():
        status[scale][each.status] += 1
        if each.status == "scored":
            found[scale][answers[place].variant].append(each.score)
    return {
        "method": scorer.method(),
        "answers": len(answers),
        "status": {
            scale: {name: of[name] for name in SCORE_STATUS if of[name]} for scale, of in status.items()
        },
        "mean": {
            scale: {variant: round(fmean(values), 4) for variant, values in of.items()}
            for scale, of in found.items()
        },
        **scorer.usage().model_dump(),
        "cost": round(scorer.cost(), 4),
    }


def _words(words: Any) -> np.ndarray:
    return np.array(list(words), dtype=object)
