"""``python -m pipeline.discover.mined PROFILE``: what stage `mining` found becomes lines of a prompt file."""

from collections.abc import Mapping
from typing import Any, Final

import xarray as xr

from pipeline.params.project import Params
from pipeline.prompts.keep import add_line, own_file, written_at
from pipeline.run.stage import artifacts, run_stage
from store.datasets.groups import open_dataset
from store.documents.questions import Question, read_questions
from store.schema.mining import MINING

FILE: Final = "mined.jsonl"
"""Name of the file, beside the profile's own."""
TAG: Final = "mined"


def mined_lines(found: xr.Dataset, questions: Mapping[str, Question]) -> list[dict[str, Any]]:
    """Lines of a prompt file: pivotal prefixes whose text has their token ids, one situation a question.

    Parameters
    ----------
    found
        The group `prefixes` of the MINING dataset.
    questions
        By hash.
    """
    chosen = found.isel(prefix=found["pivotal"].values & found["is_text"].values)
    lines: dict[str, dict[str, Any]] = {}
    for of, text in zip(chosen["question_hash"].values, chosen["text"].values, strict=True):
        question = questions[str(of)]
        line: dict[str, Any] = {"prompt": str(text), "situation": f"{TAG}: {question.id}", "tags": [TAG]}
        # Two questions that are asked alike have prefixes in common: the first keeps them.
        lines.setdefault(str(text), line if question.domain is None else line | {"domain": question.domain})
    return list(lines.values())


def main(profile: str, params: Params) -> None:
    """Add what is in none of the profile's prompt files yet."""
    folder, source = artifacts(profile), params.profile(profile)
    path = own_file(source).with_name(FILE)
    questions = {question.hash: question for question in read_questions(folder / "questions.json")}
    lines = mined_lines(open_dataset(folder / MINING.kind, "prefixes"), questions)
    new = [line for line in lines if written_at(source, line["prompt"]) is None]
    for line in new:
        add_line(path, line)
    print(
        f"{len(new)} of {len(lines)} mined prompts are new; {path} keeps them, and `dvc repro` traces them."
    )


if __name__ == "__main__":
    run_stage(main, Params)
