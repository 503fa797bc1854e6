"""From a judge's parameters to a judge. What only one kind needs is imported when there is one."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.judging.asked_judge import AskedJudge
from pipeline.judging.asking import Respondent
from pipeline.judging.examples import Example
from pipeline.judging.journal import ANSWERS
from pipeline.judging.protocol import Judge
from pipeline.judging.rubric import Rubric
from pipeline.params.judges import JudgeParams, LocalJudge, OpenAIJudge, RubricJudge
from pipeline.params.runtime import RuntimeParams
from pipeline.text.lexicon import Lexicon


def make_judge(
    name: str,
    params: JudgeParams,
    *,
    folder: Path,
    lexicon: Lexicon,
    examples: Sequence[Example],
    runtime: RuntimeParams,
) -> Judge:
    """A judge, which has not been asked anything yet.

    Parameters
    ----------
    name, params
        As ``params.yaml`` has them.
    folder
        The profile's; answers are kept there.
    lexicon
        For a judge that goes by it.
    examples
        For one that reads.
    runtime
        For one that runs here.
    """
    if isinstance(params, RubricJudge):
        return Rubric(lexicon)
    respondent = make_respondent(name, params, runtime)
    return AskedJudge(name, respondent, folder / ANSWERS / f"{name}.jsonl", examples, params.examples)


def make_respondent(name: str, params: OpenAIJudge | LocalJudge, runtime: RuntimeParams) -> Respondent:
    """Who answers for a judge that reads, whatever it is asked about."""
    if isinstance(params, OpenAIJudge):
        from pipeline.judging.openai_judge import Service

        return Service(name, params)
    from pipeline.judging.local_judge import LocalModel

    return LocalModel(name, params, runtime)
