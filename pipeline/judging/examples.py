"""Few-shot examples: ``inputs/judges/examples.jsonl``.

Frozen: were they drawn from the labels that there are, each new label would ask everything anew.
"""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from pipeline.judging.cases import Case
from pipeline.text.json_lines import Line, Word, read_lines

EXAMPLES: Final = Path("inputs/judges/examples.jsonl")
_LINE: Final = (
    '{"situation": ..., "prompt": ..., "candidates": [{"text": ..., "label": "evil", "reason": ...}, ...]}'
)


class LabelledToken(Line):
    """A candidate of an example; no id, which only its own tokenizer would know."""

    text: Word
    label: Literal["evil", "safe", "unsure"]
    reason: Word


class Example(Line):
    """A prompt whose candidates people have labelled."""

    situation: Word
    prompt: Word
    candidates: Annotated[tuple[LabelledToken, ...], Field(min_length=1, strict=False)]


def read_examples(path: Path = EXAMPLES) -> tuple[Example, ...]:
    """The examples of a file, in its order; none where there is no file.

    Raises
    ------
    UserError
        A line says something else; the message names file and line.
    """
    return tuple(line for _, line in read_lines(path, Example, _LINE)) if path.exists() else ()


def chosen(examples: Sequence[Example], case: Case, n: int) -> tuple[Example, ...]:
    """The first `n` of them, without those of the judged situation, which give its answer away (trap 14)."""
    others = (each for each in examples if each.situation != case.situation and each.prompt != case.text)
    return tuple(islice(others, n))
