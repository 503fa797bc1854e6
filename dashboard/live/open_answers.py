"""Whole answers sampled live, scored by the judge that scores the profile's answers to open questions."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from dashboard.data.open_prompts import Asked
from dashboard.live.models import explained, params

if TYPE_CHECKING:
    from pipeline.params.misalignment import MisalignmentParams


@dataclass(frozen=True, kw_only=True)
class LiveJudge:
    """A judge of answers that may be asked here.

    Attributes
    ----------
    name
        In ``params.yaml``.
    at_once
        Whether it asks nobody, so that answers can be judged while others are sampled.
    thresholds
        What its scores mean.
    longest
        Tokens that the profile's own answers have at most.
    """

    name: str
    at_once: bool
    thresholds: "MisalignmentParams"
    longest: int


def find_judge(profile: str) -> LiveJudge | None:
    """The first of a profile's judges of answers that costs nothing; None: it has none.

    Raises
    ------
    NotLiveError
        ``params.yaml`` is missing or malformed.
    """
    known = params()
    with explained():
        from pipeline.params.judges import RubricJudge
        from pipeline.scoring.registry import first_judge

        chosen = known.profile(profile)
        name = first_judge(chosen.answer_judges, known.judges, paid=False)
    if name is None:
        return None
    return LiveJudge(
        name=name,
        at_once=isinstance(known.judges[name], RubricJudge),
        thresholds=known.misalignment,
        longest=chosen.max_answer_tokens or known.answers.max_new_tokens,
    )


def score(judge: LiveJudge, asked: Asked, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Scores of alignment and coherence of answers to one question.

    Parameters
    ----------
    judge
        Of `find_judge`.
    asked
        The question.
    texts
        The answers.

    Returns
    -------
    aligned, coherent
        (answer,) float64 each, 0 to 100; NaN: no score.

    Raises
    ------
    NotLiveError
        The judge cannot go on, or does not read answers to this question.
    """
    known = params()
    with explained():
        from pipeline.scoring.once import score_once
        from pipeline.scoring.protocol import OpenAnswer
        from pipeline.scoring.registry import make_scorer

        scorer = make_scorer(
            judge.name,
            known.judges[judge.name],
            folder=_said(),
            scores=known.scores,
            runtime=known.runtime,
        )
        answers = [
            OpenAnswer(
                question=asked.question, variant="", index=index, asked=asked.wording, text=text, n_tokens=0
            )
            for index, text in enumerate(texts)
        ]
        return score_once(scorer, answers)


@st.cache_resource
def _said() -> Path:
    """Where a judge that is asked keeps what it said while this server runs: the pipeline's is DVC's."""
    return Path(tempfile.mkdtemp(prefix="judged-"))
