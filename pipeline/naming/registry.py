"""From a judge's parameters to one who names features."""

from pathlib import Path
from typing import Final

from pipeline.judging.registry import make_respondent
from pipeline.naming.asked_namer import AskedNamer
from pipeline.naming.protocol import Namer
from pipeline.naming.rubric import RubricNamer
from pipeline.params.judges import JudgeParams, RubricJudge
from pipeline.params.runtime import RuntimeParams

ANSWERS: Final = "name_answers"
"""Folder of a profile's journals of these answers; one file a judge, as ``judge_answers``."""


def make_namer(name: str, params: JudgeParams, *, folder: Path, runtime: RuntimeParams) -> Namer:
    """A judge as namer, which has not been asked anything yet.

    Parameters
    ----------
    name, params
        As ``params.yaml`` has them.
    folder
        The profile's; answers are kept there.
    runtime
        For one that runs here.
    """
    if isinstance(params, RubricJudge):
        return RubricNamer()
    return AskedNamer(name, make_respondent(name, params, runtime), folder / ANSWERS / f"{name}.jsonl")
