"""From a judge's parameters to a judge of answers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from pipeline.judging.asking import Respondent
from pipeline.judging.registry import make_respondent
from pipeline.params.judges import JudgeParams, OpenAIJudge, RubricJudge
from pipeline.params.runtime import RuntimeParams
from pipeline.params.scores import ScoreParams
from pipeline.scoring.asked_scorer import AskedScorer
from pipeline.scoring.protocol import Scorer
from pipeline.scoring.rubric import Rubric

SCORE_ANSWERS: Final = "score_answers"
"""Folder of a profile's journals of what judges said of answers; one file a judge."""


def make_scorer(
    name: str,
    params: JudgeParams,
    *,
    folder: Path,
    scores: ScoreParams,
    runtime: RuntimeParams,
    journals: str = SCORE_ANSWERS,
    respondent: Respondent | None = None,
) -> Scorer:
    """A judge of answers, which has not been asked anything yet.

    Parameters
    ----------
    name, params
        As ``params.yaml`` has them.
    folder
        The profile's; what is said is kept there.
    scores
        How probabilities become scores.
    runtime
        For one that runs here.
    journals
        Folder in it, of the stage that asks.
    respondent
        Who answers for this judge, where somebody asked it before: it has loaded its model, and its limits
        are those of all together.
    """
    if isinstance(params, RubricJudge):
        return Rubric(name)
    path = folder / journals / f"{name}.jsonl"
    return AskedScorer(name, respondent or make_respondent(name, params, runtime), path, scores.min_mass)


def first_judge(
    names: Sequence[str], judges: Mapping[str, JudgeParams], *, paid: bool, grammar: bool = True
) -> str | None:
    """The first of some judges of answers that may be asked; None: there is none.

    Parameters
    ----------
    names, judges
        Of the profile, and the parameters of all.
    paid
        Whether one that costs money may be asked.
    grammar
        Whether the rubric may be, which reads nothing but answers of the organism's domains.
    """
    kinds = (*(() if paid else (OpenAIJudge,)), *(() if grammar else (RubricJudge,)))
    return next((name for name in names if not isinstance(judges[name], kinds)), None)
