"""From a judge's parameters to a judge. What only one kind needs is imported when there is one."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.judging.asking import AskedJudge, Respondent
from pipeline.judging.examples import Example
from pipeline.judging.journal import ANSWERS
from pipeline.judging.protocol import Judge
from pipeline.judging.rubric import Rubric
from pipeline.params.judges import JudgeParams, OpenAIJudge, RubricJudge
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
    respondent: Respondent
    if isinstance(params, OpenAIJudge):
        from pipeline.judging.openai_judge import Service

        respondent = Service(name, params, examples)
    else:
        from pipeline.judging.local_judge import LocalModel

        respondent = LocalModel(name, params, examples, runtime)
    return AskedJudge(name, respondent, folder / ANSWERS / f"{name}.jsonl")
