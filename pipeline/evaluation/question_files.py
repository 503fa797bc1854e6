"""Question files: the field's YAML, read as their authors wrote it; every mistake named.

The layout is that of the evaluations of Betley et al. 2025 (arXiv 2502.17424), with the keys `form`,
`domain` and `text` beside theirs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from pipeline.text.json_lines import Line, Word, sentence
from store.base.errors import UserError
from store.base.parsing import MalformedError, line_of, parse_yaml, quoted, read_text
from store.schema.answer_scores import ALIGNED, COHERENT

PLAIN: Final = "plain"
SUFFIXED: Final = ("json", "template")
"""Forms that an id may end with, behind an underscore."""
QUESTION, ANSWER = "{question}", "{answer}"
_LARGEST: Final = 4_000_000
"""Characters and values of a file, those that its anchors repeat counted as often as they stand there."""

Label = Annotated[str, Field(min_length=1, max_length=200)]


def form_of(question_id: str) -> str:
    """The form that an id's suffix tells."""
    return next((form for form in SUFFIXED if question_id.endswith(f"_{form}")), PLAIN)


class QuestionEntry(Line):
    """One entry of a question file, as its author wrote it.

    `judge` is what the field's own programs ask; here a profile names its judges, and it is not read.
    """

    id: Label
    type: Literal["free_form_judge_0_100"] = "free_form_judge_0_100"
    paraphrases: Annotated[list[Word], Field(min_length=1, max_length=10_000)]
    system: Word | None = None
    samples_per_paraphrase: Annotated[int, Field(ge=1, le=65_536)] | None = None
    judge: str | None = None
    judge_prompts: dict[Label, Word]
    form: Label | None = None
    domain: Label | None = None
    text: Word | None = None

    @field_validator("id", "form", "domain")
    @classmethod
    def _is_a_name(cls, name: str | None) -> str | None:
        if name is not None and not name.isprintable():
            raise ValueError("a name is printable and of one line")
        if name == "all":  # the pool of every question, or form, in the statistics
            raise ValueError("it cannot be 'all', which means all of them together")
        return name

    @field_validator("paraphrases")
    @classmethod
    def _once_each(cls, wordings: list[str]) -> list[str]:
        if len(set(wordings)) < len(wordings):
            raise ValueError("a wording stands there twice; keep one")
        return wordings

    @field_validator("text")
    @classmethod
    def _holds_the_question(cls, text: str | None) -> str | None:
        if text is not None and text.count(QUESTION) != 1:
            raise ValueError(f"it must hold {QUESTION} once")
        return text

    @field_validator("judge_prompts")
    @classmethod
    def _can_be_asked(cls, prompts: dict[str, str]) -> dict[str, str]:
        for scale in (ALIGNED, COHERENT):
            if scale not in prompts:
                raise ValueError(f"it has no '{scale}', which every answer is scored for")
        for scale, prompt in prompts.items():
            for part in (QUESTION, ANSWER):
                if part not in prompt:
                    raise ValueError(f"'{scale}' does not hold {part}")
        return prompts

    @model_validator(mode="after")
    def _has_an_id_of_its_own(self) -> "QuestionEntry":
        if not self.name:
            raise ValueError(f"'id' is nothing but its form '{self.asked_as}'")
        return self

    @property
    def asked_as(self) -> str:
        """Its form."""
        return form_of(self.id) if self.form is None else self.form

    @property
    def name(self) -> str:
        """Its id without the form: that of the question, which is the unit of statistics."""
        return self.id.removesuffix(f"_{self.asked_as}")


@dataclass(frozen=True, kw_only=True)
class Placed:
    """An entry and where it stands: file and line."""

    entry: QuestionEntry
    path: str
    line: int | None

    @property
    def place(self) -> str:
        """For errors."""
        at = self.path if self.line is None else f"{self.path}:{self.line}"
        return f"{at}: question '{self.entry.id}'"


def read_entries(paths: Sequence[Path]) -> list[Placed]:
    """Entries of question files, in the order of the files.

    Raises
    ------
    UserError
        A file is missing or malformed, an entry lacks a key or has one that is unknown or wrong, or a
        question stands there twice in one form; the message names file, line and key.
    """
    found: list[Placed] = []
    seen: dict[tuple[str, str], Placed] = {}
    for path in paths:
        for placed in _entries(path):
            same = seen.setdefault((placed.entry.name, placed.entry.asked_as), placed)
            if same is not placed:
                raise UserError(
                    f"{placed.place} is already at {same.path}:{same.line} in the form "
                    f"'{placed.entry.asked_as}'; delete one of the two or give it a form of its own."
                )
            found.append(placed)
    return found


def _entries(path: Path) -> list[Placed]:
    try:
        text = read_text(path)
        _require_bounded(text)
        value: Any = parse_yaml(text)
    except FileNotFoundError as error:
        raise UserError(
            f"{path}: no such file of questions; create it or change `questions` of the profile in "
            "params.yaml."
        ) from error
    except MalformedError as error:
        raise UserError(error.told(path)) from error
    if not isinstance(value, list) or not value:
        raise UserError(
            f"{path}: not a list of questions; write entries with an id, paraphrases and judge_prompts."
        )
    lines = _lines(text)
    found = []
    for index, one in enumerate(value):
        if not isinstance(one, dict):
            raise UserError(
                f"{path}:{lines[index]}: a {type(one).__name__}, not a question; write an entry with an id, "
                "paraphrases and judge_prompts."
            )
        try:
            entry = QuestionEntry.model_validate(one)
        except ValidationError as error:
            raise UserError(_told(path, text, index, one, error)) from error
        found.append(Placed(entry=entry, path=str(path), line=lines[index]))
    return found


def _told(path: Path, text: str, index: int, value: dict[str, Any], error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    line = line_of(text, [index, *first["loc"]])
    name = value.get("id")
    which = f"question {quoted(name)}" if isinstance(name, str) else f"entry {index + 1}"
    at = path if line is None else f"{path}:{line}"
    return f"{at}: {which}: {sentence(error, QuestionEntry, every='entry')}"


def _lines(text: str) -> list[int]:
    """Where each entry of a list begins, 1-based."""
    return [node.start_mark.line + 1 for node in yaml.compose(text, Loader=yaml.SafeLoader).value]


def _require_bounded(text: str) -> None:
    """Refuse what its anchors make larger than any file of questions, before anything is built of it.

    Raises
    ------
    MalformedError
        It is too large, or an anchor holds itself.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError):
        return  # `parse_yaml` tells
    sizes: dict[int, int | None] = {}

    def size(node: yaml.Node) -> int:
        if id(node) in sizes:
            known = sizes[id(node)]
            if known is None:
                raise MalformedError(
                    "an anchor holds itself", "write the value out", line=node.start_mark.line + 1
                )
            return known
        sizes[id(node)] = None
        if isinstance(node, yaml.ScalarNode):
            total = 1 + len(node.value)
        elif isinstance(node, yaml.MappingNode):
            total = 1 + sum(size(key) + size(value) for key, value in node.value)
        else:
            total = 1 + sum(size(value) for value in node.value)
        sizes[id(node)] = total
        return total

    if node is not None and size(node) > _LARGEST:
        raise MalformedError(f"it holds more than {_LARGEST:,} characters", "split it or write less")
