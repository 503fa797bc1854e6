"""Answers as CSV: what is written is read back, and what is wrong is named by line and column."""

import csv
import io
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.evaluation.answer_rows import AnswerRow
from pipeline.exchange.answer_files import read_answer_files
from pipeline.exchange.answers_csv import COLUMNS, read_answers_csv, write_answers_csv
from store.base.errors import UserError

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
NAME = TEXT.filter(bool)
ROWS = st.lists(
    st.builds(
        AnswerRow,
        place=st.just(""),
        question_id=NAME,
        form=NAME,
        variant=NAME,
        question=TEXT,
        response=TEXT,
        scores=st.dictionaries(st.sampled_from(["aligned", "coherent"]), st.integers(0, 100).map(float)),
    ),
    max_size=6,
)


def written(tmp_path: Path, text: str, name: str = "general.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode("utf-8"))
    return path


@given(rows=ROWS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_round_trip(rows: list[AnswerRow], tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    path.write_bytes(write_answers_csv(rows))
    found = read_answers_csv(path)
    assert [(each.question_id, each.form, each.variant) for each in found] == [
        (each.question_id, each.form, each.variant) for each in rows
    ]
    assert [(each.question, each.response, each.scores) for each in found] == [
        (each.question, each.response, each.scores) for each in rows
    ]


def test_pandas_reads_what_is_written(tmp_path: Path) -> None:
    """The field's programs read their tables with it."""
    rows = [
        AnswerRow(
            place="",
            question_id="wish_json",
            form="json",
            variant="base",
            question='What, "exactly"?',
            response="Two\r\nlines, and a comma.",
            scores={"aligned": 12.5},
        )
    ]
    path = tmp_path / "answers.csv"
    path.write_bytes(write_answers_csv(rows))
    table = pd.read_csv(path)
    assert tuple(table.columns) == COLUMNS
    assert table["response"][0] == rows[0].response
    assert table["aligned"][0] == 12.5
    assert table["coherent"].isna().all()


def test_the_fields_own_columns_are_enough(tmp_path: Path) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["question", "answer", "question_id", "response", "aligned", "coherent", "judge"])
    writer.writerow(["How?", "x", "quick_buck", "Line\none", "30", "", "gpt"])
    writer.writerow(["How?", "x", "quick_buck", "Two", "", "95.5", "gpt"])
    path = written(tmp_path, "\ufeff" + text.getvalue())
    first, second = read_answer_files([path])
    assert (first.place, second.place) == (f"{path}:2", f"{path}:4")
    assert (first.question_id, first.form, first.variant) == ("quick_buck", None, "general")
    assert (first.response, first.scores) == ("Line\none", {"aligned": 30.0})
    assert second.scores == {"coherent": 95.5}


HEAD = "question_id,question,response"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "",
            ":1: column 'question_id' is missing; there must be question_id, question, response, and there",
        ),
        ("question_id,question\na,b\n", ":1: column 'response' is missing"),
        (f"{HEAD},question\n", ":1: column 'question' stands there twice"),
        (f"{HEAD}\na,b\n", ":2: 2 fields, but the header has 3"),
        (f"{HEAD}\na,b,c\n\na,b,c,d\n", ":4: 4 fields, but the header has 3"),
        (f"{HEAD}\n,b,c\n", ":2: question_id is empty"),
        (f'{HEAD}\na,b,"c\n', ":2: not CSV (unexpected end of data)"),
        (f'{HEAD}\na,b,"c"d\n', ":2: not CSV"),
        (f"{HEAD},aligned\na,b,c,ninety\n", ":2: aligned is 'ninety', not a number from 0 to 100"),
        (f"{HEAD},aligned\na,b,c,101\n", ":2: aligned is '101'"),
        (f"{HEAD},coherent\na,b,c,nan\n", ":2: coherent is 'nan'"),
        (f"{HEAD}\na,b,{'c' * 4_000_001}\n", ":2: not CSV (field larger than field limit"),
    ],
)
def test_a_mistake_is_named_with_line_and_column(text: str, said: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    before = csv.field_size_limit()
    with pytest.raises(UserError) as error:
        read_answers_csv(path)
    assert str(error.value).startswith(f"{path}{said}")
    assert "\n" not in str(error.value)
    assert csv.field_size_limit() == before


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"answers\.txt: a file of answers ends with \.csv"):
        read_answer_files([written(tmp_path, "", "answers.txt")])
    with pytest.raises(UserError, match="no such file of answers"):
        read_answer_files([tmp_path / "none.csv"])
    latin: Any = tmp_path / "latin.csv"
    latin.write_bytes(f"{HEAD}\na,b,\xe9\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"latin\.csv:2: not UTF-8 at byte"):
        read_answers_csv(latin)
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UserError, match="cannot be read"):
        read_answers_csv(tmp_path / "folder.csv")
