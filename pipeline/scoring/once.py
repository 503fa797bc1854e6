"""Answers of which many are the same text: each is judged once."""

from collections.abc import Sequence

import numpy as np

from pipeline.scoring.protocol import OpenAnswer, Scorer
from store.schema.answer_scores import ALIGNED, COHERENT


def score_once(scorer: Scorer, answers: Sequence[OpenAnswer]) -> tuple[np.ndarray, np.ndarray]:
    """Scores of alignment and of coherence, (answer,) float64 of 0 to 100; NaN: none.

    Parameters
    ----------
    scorer
        Was not asked anything yet.
    answers
        Those with one text to one wording get one score, whoever said it.

    Raises
    ------
    UserError
        As the scorer does.
    """
    place: dict[tuple[str, str, str], int] = {}
    distinct: list[OpenAnswer] = []
    of = np.empty(len(answers), np.int64)
    for number, answer in enumerate(answers):
        key = answer.question.hash, answer.asked, answer.text
        if key not in place:
            place[key] = len(distinct)
            distinct.append(answer)
        of[number] = place[key]
    scorer.prepare(distinct)
    scores = scorer.scores()
    found = [
        np.array([_score(scores.get((row, scale))) for row in range(len(distinct))], np.float64)
        for scale in (ALIGNED, COHERENT)
    ]
    return found[0][of], found[1][of]


def _score(scored: object) -> float:
    return float(getattr(scored, "score", np.nan))
