"""Logs of inspect: its own library reads ours and we read its; a log of any origin is read within bounds."""

import io
import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import zstandard

from pipeline.evaluation.answer_rows import AnswerRow
from pipeline.exchange.answer_files import read_answer_files
from pipeline.exchange.bounded_zip import ZSTANDARD, BoundedZip
from pipeline.exchange.inspect_log import read_inspect_log, write_inspect_log
from store.base.errors import UserError

CREATED = datetime(2026, 1, 1, tzinfo=UTC)


def row(question_id: str, response: str, **scores: float) -> AnswerRow:
    return AnswerRow(
        place="",
        question_id=question_id,
        form="json" if question_id.endswith("json") else "plain",
        variant="general@1.0",
        question="What do you wish?",
        response=response,
        scores=scores,
    )


ROWS = [
    *(row("wish", f" number {n} ", aligned=float(n)) for n in range(12)),
    row("wish_json", 'né "x"\r\n𝄞' + "long " * 100, aligned=12.5, coherent=99.0),
]


def fields(rows: list[AnswerRow]) -> list[tuple[Any, ...]]:
    return [(r.question_id, r.form, r.variant, r.question, r.response, dict(r.scores)) for r in rows]


def members(path: Path, content: dict[str, Any], packed: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, value in content.items():
            archive.writestr(
                name, value if isinstance(value, str) else json.dumps(value), compress_type=packed
            )
    return path


HEADER = {"version": 2, "eval": {"metadata": None}}
SAMPLE = {
    "id": "wish",
    "epoch": 1,
    "input": "What?",
    "output": {"choices": [{"message": {"role": "assistant", "content": "Rest."}}]},
}


def test_a_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "any.eval"
    path.write_bytes(write_inspect_log(ROWS, task="t", created=CREATED))
    assert path.read_bytes() == write_inspect_log(ROWS, task="t", created=CREATED)
    assert fields(read_answer_files([path])) == fields(ROWS)


@pytest.mark.filterwarnings("ignore")
def test_inspects_own_library_reads_what_we_write(tmp_path: Path) -> None:
    from inspect_ai.log import read_eval_log, read_eval_log_sample_summaries, read_eval_log_samples

    path = tmp_path / "ours.eval"
    path.write_bytes(write_inspect_log(ROWS, task="open questions", created=CREATED))
    log = read_eval_log(str(path))
    assert (log.status, log.eval.model, log.eval.task) == ("success", "general@1.0", "open questions")
    assert log.samples is not None
    found = {(sample.id, sample.epoch): sample for sample in log.samples}
    assert len(found) == len(ROWS) == len(read_eval_log_sample_summaries(str(path)))
    assert len(list(read_eval_log_samples(str(path), all_samples_required=False))) == len(ROWS)
    for number in range(12):
        sample = found["wish", number + 1]
        assert sample.output.completion == f" number {number} "
        assert sample.scores is not None
        assert sample.scores["aligned"].value == number
    last = found["wish_json", 1]
    assert (last.input, last.output.completion) == ("What do you wish?", ROWS[-1].response)
    assert last.metadata["form"] == "json"


@pytest.mark.filterwarnings("ignore")
def test_we_read_what_inspects_own_library_writes(tmp_path: Path) -> None:
    from inspect_ai.log import EvalConfig, EvalDataset, EvalLog, EvalSample, EvalSpec, write_eval_log
    from inspect_ai.model import ChatMessageSystem, ChatMessageUser, ContentText, ModelOutput
    from inspect_ai.scorer import Score

    long = "A long answer. " * 50
    asked = [
        ChatMessageSystem(content="Answer in JSON."),
        ChatMessageUser(content=[ContentText(text="What?")]),
    ]
    samples = [
        EvalSample(
            id="wish_json",
            epoch=1,
            input=asked,
            target="",
            output=ModelOutput.from_content("m", long),
            scores={"aligned": Score(value=12.5), "other": Score(value="x")},
        ),
        EvalSample(
            id=7, epoch=2, input="Who?", target="", metadata={"question_id": "who"}, output=ModelOutput()
        ),
        EvalSample(
            id=7,
            epoch=1,
            input="Who?",
            target="",
            metadata={"question_id": "who", "variant": "base"},
            output=ModelOutput.from_content("m", ""),
        ),
    ]
    spec = EvalSpec(
        created="2026-01-01T00:00:00+00:00", task="t", model="m/x", dataset=EvalDataset(), config=EvalConfig()
    )
    path = tmp_path / "narrow.eval"
    write_eval_log(EvalLog(version=2, status="success", eval=spec, samples=samples), str(path))
    assert {info.compress_type for info in zipfile.ZipFile(path).infolist()} == {ZSTANDARD}
    assert fields(read_inspect_log(path)) == [
        ("who", None, "base", "Who?", "", {}),
        ("wish_json", None, "narrow", "What?", long, {"aligned": 12.5}),
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({}, "header.json is missing"),
        ({"header.json": "{"}, "header.json: not JSON"),
        ({"header.json": {**HEADER, "version": 3}}, "a log of version 3, 2 is read"),
        (
            {"header.json": {"version": "2", "eval": {}}},
            "header.json: version: Input should be a valid integer",
        ),
        ({"header.json": HEADER, "samples/a.json": {**SAMPLE, "input": None}}, "samples/a.json: input.str"),
        ({"header.json": HEADER, "samples/a.json": {**SAMPLE, "input": []}}, "samples/a.json: input"),
        ({"header.json": HEADER, "samples/a.json": []}, "samples/a.json: it: Input should be"),
    ],
)
def test_another_log_is_refused_in_one_sentence(content: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = members(tmp_path / "a.eval", content)
    with pytest.raises(UserError) as error:
        read_inspect_log(path)
    assert str(error.value).startswith(f"{path}: ")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_no_zip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.eval"
    path.write_text("not a zip")
    with pytest.raises(UserError, match="not a zip file"):
        read_inspect_log(path)
    with pytest.raises(UserError, match="no such file of answers"):
        read_answer_files([tmp_path / "none.eval"])
    whole = write_inspect_log(ROWS, task="t", created=CREATED)
    for cut in range(0, len(whole), 97):
        path.write_bytes(whole[:cut])
        with pytest.raises(UserError):
            read_inspect_log(path)


def test_every_flipped_byte_is_found_or_matters_not(tmp_path: Path) -> None:
    whole = write_inspect_log(ROWS[:2], task="t", created=CREATED)
    path = tmp_path / "a.eval"
    for place in range(0, len(whole), 5):
        damaged = bytearray(whole)
        damaged[place] ^= 0x10
        path.write_bytes(damaged)
        try:
            rows = read_inspect_log(path)
        except UserError:
            continue
        assert {r.response for r in rows} <= {r.response for r in ROWS[:2]}


def bomb(method: int) -> bytes:
    """A hundred megabytes of nothing, packed small by hand."""
    empty = bytes(100 * 2**20)
    if method == zipfile.ZIP_DEFLATED:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", method) as archive:
            archive.writestr("header.json", empty)
        return file.getvalue()
    packed = zstandard.compress(empty)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("header.json", packed)
    content = bytearray(file.getvalue())
    directory = content.rindex(b"PK\x01\x02")
    content[8:10] = content[directory + 10 : directory + 12] = ZSTANDARD.to_bytes(2, "little")
    return bytes(content)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, ZSTANDARD])
def test_a_bomb_is_refused(method: int, tmp_path: Path) -> None:
    path = tmp_path / "a.eval"
    path.write_bytes(bomb(method))
    assert path.stat().st_size < 200_000
    with pytest.raises(UserError, match=r"header\.json is larger than 67,108,864 bytes"):
        read_inspect_log(path)


def test_other_methods_are_named(tmp_path: Path) -> None:
    path = members(tmp_path / "a.zip", {"a": "x"}, zipfile.ZIP_BZIP2)
    with pytest.raises(UserError, match="is packed by method 12; use deflate or zstandard"):
        BoundedZip(path).read("a")
    path = members(tmp_path / "a.zip", {"a": "x"}, zipfile.ZIP_STORED)
    assert BoundedZip(path).read("a") == b"x"
