"""What was answered stays, whoever ends the run and however."""

import os
import random
import threading
from pathlib import Path

import pytest

from pipeline.judging.answers import Answer
from pipeline.judging.journal import Journal, Record, Usage
from store.base.errors import DamagedArtifactError


def record(number: int, detail: str = "") -> Record[Answer]:
    return Record(
        key=f"{number:064x}",
        answer=Answer(status="refused", detail=detail or f"no. {number}, “ü”\u2028"),
        model="judge",
        usage=Usage(calls=1),
    )


def filled(path: Path, numbers: list[int]) -> Journal[Answer]:
    journal = Journal(path, Answer)
    for number in numbers:
        journal.add(record(number))
    return journal


def test_what_is_added_is_on_disk_at_once_and_sorted_in_the_end(tmp_path: Path) -> None:
    path, numbers = tmp_path / "a.jsonl", list(range(20))
    random.Random(0).shuffle(numbers)
    journal = filled(path, numbers)
    assert Journal(path, Answer).find(record(7).key) == record(7)
    journal.tidy()
    filled(tmp_path / "b.jsonl", sorted(numbers)).tidy()
    assert path.read_bytes() == (tmp_path / "b.jsonl").read_bytes()
    assert path.read_bytes().count(b"\n") == 20


def test_threads_add_side_by_side(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    journal = Journal(path, Answer)

    def add(start: int) -> None:
        for number in range(start, start + 15):
            journal.add(record(number))

    threads = [threading.Thread(target=add, args=(15 * n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.tidy()
    again = Journal(path, Answer)
    assert all(again.find(record(number).key) == record(number) for number in range(90))


@pytest.mark.parametrize("cut", [1, 2, 40, 200])
def test_a_torn_last_line_is_left_out_and_gone_with_the_next(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "a.jsonl"
    filled(path, [0, 1, 2]).tidy()
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    journal = Journal(path, Answer)
    # Without its line break alone a line is whole.
    assert (journal.find(record(2).key) is None) is (cut > 1)
    journal.add(record(2))
    assert path.read_bytes() == whole + (whole.splitlines(keepends=True)[2] if cut == 1 else b"")
    journal.tidy()
    assert path.read_bytes() == whole


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    filled(path, [0, 1, 2]).tidy()
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b'{"key": 3}\n' + lines[2])
    with pytest.raises(DamagedArtifactError, match=r"a\.jsonl:2: damaged \(.*delete the line") as error:
        Journal(path, Answer)
    assert "\n" not in str(error.value)


def test_the_last_answer_to_a_request_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    journal = filled(path, [0, 1])
    journal.add(record(0, "later"))
    assert Journal(path, Answer).find(record(0).key) == record(0, "later")
    journal.tidy()
    assert len(path.read_bytes().splitlines()) == 2


def test_nothing_is_written_through_a_link_into_the_cache(tmp_path: Path) -> None:
    """DVC may link an output to its cache, whose content must never change."""
    cached, path = tmp_path / "cached", tmp_path / "a.jsonl"
    filled(cached, [0]).tidy()
    before = cached.read_bytes()
    os.link(cached, path)
    filled(path, [1]).tidy()
    assert cached.read_bytes() == before
    assert len(path.read_bytes().splitlines()) == 2


def test_an_unreadable_answer_is_kept_in_part(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    long = record(0).model_copy(update={"raw": "x" * 10**6})
    journal = Journal(path, Answer)
    journal.add(long)
    journal.tidy()
    assert path.stat().st_size < 20_000
