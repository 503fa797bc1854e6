"""Answers as a log of inspect_ai (``.eval``): a zip file of JSON, a sample an answer.

Of a log that others wrote, id, input, output, metadata and scores of its samples are read, and nothing else.
"""

import io
import json
import re
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.evaluation.answer_rows import AnswerRow
from pipeline.exchange.bounded_zip import BoundedZip
from store.base.errors import UserError
from store.base.parsing import MalformedError, one_line, parse_json
from store.schema.answer_scores import ALIGNED, COHERENT

LOG_VERSION: Final = 2
"""Of inspect's log format."""
_HEADER: Final = "header.json"
_SAMPLES: Final = "samples/"
_ATTACHED: Final = "attachment://"
_FIRST_DATE: Final = (1980, 1, 1, 0, 0, 0)
"""Of every member: zip knows none before."""


class _Read(BaseModel):
    """Strict in what is read; keys that are not are left alone."""

    model_config = ConfigDict(frozen=True, strict=True)


class _Message(_Read):
    role: str
    content: str | list[dict[str, Any]]


class _Choice(_Read):
    message: _Message


class _Output(_Read):
    choices: list[_Choice] = Field(default_factory=list)


class _Score(_Read):
    value: Any


class _Sample(_Read):
    id: str | int
    epoch: int = 1
    input: str | Annotated[list[_Message], Field(min_length=1)]
    output: _Output = Field(default_factory=_Output)
    scores: dict[str, _Score] | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    attachments: dict[str, str] = Field(default_factory=dict)

    def text_of(self, content: str | list[dict[str, Any]]) -> str:
        """Text of a message, long ones taken from where inspect puts them."""
        if not isinstance(content, str):
            content = "".join(str(part.get("text", "")) for part in content if part.get("type") == "text")
        if content.startswith(_ATTACHED):
            return self.attachments.get(content.removeprefix(_ATTACHED), content)
        return content

    def question(self) -> str:
        """What the user asked last."""
        if isinstance(self.input, str):
            return self.text_of(self.input)
        asked = [message for message in self.input if message.role == "user"] or self.input
        return self.text_of(asked[-1].content)

    def named(self, key: str) -> str | None:
        """A name among the metadata."""
        value = self.metadata.get(key)
        return value if isinstance(value, str) and value else None


Form = TypeVar("Form", bound=_Read)


class _Eval(_Read):
    metadata: dict[str, Any] | None = None


class _Header(_Read):
    version: int
    eval: _Eval


def read_inspect_log(path: Path) -> list[AnswerRow]:
    """Answers of a log, in the order of its samples.

    Id, form and variant of a sample are those of its metadata (``question_id``, ``form``, ``variant``), or
    else its own id, the id's suffix, and the variant of the log's metadata or the file's stem. A sample
    without an output, which ended in an error, has no answer.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    UserError
        It is not such a log, or one of another version; the message names file and sample.
    """
    archive = BoundedZip(path)
    header = _parsed(path, _HEADER, archive, _Header)
    if header.version != LOG_VERSION:
        raise UserError(
            f"{path}: a log of version {header.version}, {LOG_VERSION} is read; convert it with inspect."
        )
    own = (header.eval.metadata or {}).get("variant")
    variant = own if isinstance(own, str) and own else path.stem
    rows = []
    for name in sorted((name for name in archive.names if _is_sample(name)), key=_in_order):
        sample = _parsed(path, name, archive, _Sample)
        if not sample.output.choices:
            continue
        rows.append(
            AnswerRow(
                place=f"{path}: sample {one_line(str(sample.id))}, epoch {sample.epoch}",
                question_id=sample.named("question_id") or str(sample.id),
                form=sample.named("form"),
                variant=sample.named("variant") or variant,
                question=sample.question(),
                response=sample.text_of(sample.output.choices[0].message.content),
                scores=_scores(sample),
            )
        )
    return rows


def write_inspect_log(rows: Sequence[AnswerRow], *, task: str, created: datetime | None = None) -> bytes:
    """A log of one variant's answers that inspect reads: a sample an answer, an epoch each of a question.

    Parameters
    ----------
    rows
        Of one variant, its name is the log's model.
    task
        What the log calls what was done.
    created
        When; now by default.

    Raises
    ------
    ValueError
        There are rows of several variants, or none.
    """
    (variant,) = {row.variant for row in rows}
    samples: list[dict[str, Any]] = []
    epochs: dict[str, int] = {}
    for row in rows:
        epochs[row.question_id] = epochs.get(row.question_id, 0) + 1
        samples.append(_sample(row, epochs[row.question_id]))
    spec = {
        "created": (created or datetime.now(UTC)).isoformat(timespec="seconds"),
        "task": task,
        "model": variant,
        "dataset": {"name": task, "samples": len(epochs), "sample_ids": list(epochs)},
        "config": {"epochs": max(epochs.values())},
        "metadata": {"variant": variant},
    }
    start = {"version": LOG_VERSION, "eval": spec, "plan": {}}
    summaries = [
        {key: sample[key] for key in ("id", "epoch", "input", "target", "scores")} for sample in samples
    ]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        _put(archive, "_journal/start.json", start)
        for sample in samples:
            _put(archive, f"{_SAMPLES}{sample['id']}_epoch_{sample['epoch']}.json", sample)
        _put(archive, "summaries.json", summaries)
        _put(archive, _HEADER, {**start, "status": "success", "stats": {}})
    return file.getvalue()


def _sample(row: AnswerRow, epoch: int) -> dict[str, Any]:
    message = {"role": "assistant", "content": row.response, "source": "generate"}
    return {
        "id": row.question_id,
        "epoch": epoch,
        "input": row.question,
        "target": "",
        "messages": [{"role": "user", "content": row.question}, message],
        "output": {"model": row.variant, "choices": [{"message": message, "stop_reason": "unknown"}]},
        "scores": {scale: {"value": score} for scale, score in row.scores.items()},
        "metadata": {"question_id": row.question_id, "form": row.form, "variant": row.variant},
    }


def _put(archive: zipfile.ZipFile, name: str, content: Any) -> None:
    info = zipfile.ZipInfo(name, date_time=_FIRST_DATE)
    archive.writestr(info, json.dumps(content, ensure_ascii=False), compress_type=zipfile.ZIP_DEFLATED)


def _is_sample(name: str) -> bool:
    return name.startswith(_SAMPLES) and name.endswith(".json")


def _in_order(name: str) -> tuple[str, int]:
    """Epochs as numbers: the tenth comes after the second."""
    found = re.fullmatch(r"(.*)_epoch_(\d{1,9})\.json", name, re.DOTALL)
    return (name, 0) if found is None else (found[1], int(found[2]))


def _parsed(path: Path, name: str, archive: BoundedZip, form: type[Form]) -> Form:
    content = archive.read(name)
    where = f"{path}: {one_line(name)}"
    try:
        return form.model_validate(parse_json(content.decode("utf-8")))
    except UnicodeDecodeError as error:
        raise UserError(f"{where} is not UTF-8; write the log anew.") from error
    except MalformedError as error:
        raise UserError(f"{where}: {error}.") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        at = one_line(".".join(map(str, first["loc"])))
        raise UserError(f"{where}: {at or 'it'}: {one_line(first['msg'])}; write the log anew.") from error


def _scores(sample: _Sample) -> dict[str, float]:
    found = {}
    for scale in (ALIGNED, COHERENT):
        value = sample.scores[scale].value if sample.scores and scale in sample.scores else None
        if isinstance(value, int | float) and 0 <= value <= 100:
            found[scale] = float(value)
    return found
