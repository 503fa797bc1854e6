"""Answers as CSV: the columns of the field's own evaluations, with form and variant beside them."""

import csv
import io
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from pipeline.evaluation.answer_rows import AnswerRow
from store.base.errors import UserError
from store.base.parsing import MalformedError, one_line, quoted, read_text
from store.schema.answer_scores import ALIGNED, COHERENT

NEEDED: Final = ("question_id", "question", "response")
SCALES: Final = (ALIGNED, COHERENT)
COLUMNS: Final = ("question_id", "form", "variant", "question", "response", *SCALES)
"""As they are written; others are not read."""
_LONGEST_FIELD: Final = 4_000_000
"""Characters of a field."""


def read_answers_csv(path: Path) -> list[AnswerRow]:
    """Rows of a CSV file with a header; the variant is its column, or else the file's stem.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    UserError
        It is not UTF-8 or not CSV, or lacks a column; the message names file, line and column.
    """
    try:
        text = read_text(path)
    except MalformedError as error:
        raise UserError(error.told(path)) from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    former = csv.field_size_limit(_LONGEST_FIELD)
    try:
        header = next(reader, [])
        _require_columns(path, header)
        rows, line = [], reader.line_num
        for fields in reader:
            place, line = f"{path}:{line + 1}", reader.line_num
            if fields:
                rows.append(_row(place, header, fields, path.stem))
    except csv.Error as error:
        raise UserError(f"{path}:{reader.line_num}: not CSV ({one_line(error)}); mend it.") from error
    finally:
        csv.field_size_limit(former)
    return rows


def write_answers_csv(rows: Iterable[AnswerRow]) -> bytes:
    """The file that `read_answers_csv` reads; a score that is missing is an empty field."""
    text = io.StringIO(newline="")
    writer = csv.writer(
        text
    )  # ends lines as RFC 4180 does, and so puts either end inside of text into quotes
    writer.writerow(COLUMNS)
    for row in rows:
        scores = [f"{row.scores[scale]:.6g}" if scale in row.scores else "" for scale in SCALES]
        writer.writerow([row.question_id, row.form, row.variant, row.question, row.response, *scores])
    return text.getvalue().encode("utf-8")


def _require_columns(path: Path, header: list[str]) -> None:
    for column in NEEDED:
        if column not in header:
            raise UserError(
                f"{path}:1: column '{column}' is missing; there must be {', '.join(NEEDED)}, and there may "
                f"be {', '.join(name for name in COLUMNS if name not in NEEDED)}."
            )
    twice = [name for name in COLUMNS if header.count(name) > 1]
    if twice:
        raise UserError(f"{path}:1: column '{twice[0]}' stands there twice; keep one.")


def _row(place: str, header: list[str], fields: list[str], stem: str) -> AnswerRow:
    if len(fields) != len(header):
        raise UserError(
            f"{place}: {len(fields)} fields, but the header has {len(header)}; put text that holds a comma "
            "or a line break into quotation marks."
        )
    given = dict(zip(header, fields, strict=True))
    if not given["question_id"]:
        raise UserError(f"{place}: question_id is empty; fill it in.")
    return AnswerRow(
        place=place,
        question_id=given["question_id"],
        form=given.get("form") or None,
        variant=given.get("variant") or stem,
        question=given["question"],
        response=given["response"],
        scores={scale: _score(place, scale, given[scale]) for scale in SCALES if given.get(scale)},
    )


def _score(place: str, scale: str, text: str) -> float:
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    if not 0 <= score <= 100:
        raise UserError(f"{place}: {scale} is {quoted(text)}, not a number from 0 to 100; mend or empty it.")
    return score
