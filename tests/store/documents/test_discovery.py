"""Records of a discovery come back as they were written; one program has the folder."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.discover.log import Log
from store.base.claims import claimed, is_claimed
from store.base.errors import DamagedArtifactError
from store.documents.discovery import (
    DISCOVERY,
    ROUNDS,
    Begun,
    Draft,
    Ended,
    Outcome,
    read_discovery,
    read_records,
    record_line,
)

DRAFT = Draft(
    messages=({"role": "user", "content": "é\u2028"}, {"role": "assistant", "content": "So"}), domain="d"
)
RECORDS = [
    Begun(
        number=1, generator="gpt", kind="chat", request="a" * 64, body={"temperature": 1.0, "n": [1, None]}
    ),
    Outcome(
        round=1,
        place=0,
        draft=DRAFT,
        status="fit",
        prompt_hash="0" * 12,
        candidates={"base": ((3, 0.1), (5, 1e-9)), "general@1.0": ()},
        labels=((3, "evil"), (5, "safe")),
        divergent=True,
    ),
    Outcome(round=1, place=1, draft=None, status="rejected", rule="form", detail="no text"),
    Ended(number=1, status="written", drafts=2, calls=3, cost=0.1),
    Begun(number=2, generator="templates", kind="text", drafts=(Draft(prompt="So I", held_out=True),)),
]


def test_records_come_back_and_the_later_of_two_holds(tmp_path: Path) -> None:
    log = Log(tmp_path / DISCOVERY / ROUNDS)
    for record in RECORDS:
        log.add(record)
    log.add(RECORDS[3].model_copy(update={"calls": 5}))
    log.close()
    path = tmp_path / DISCOVERY / ROUNDS
    assert read_records(path)[:-1] == RECORDS
    found = read_discovery(tmp_path)
    assert found.begun.keys() == {1, 2}
    assert found.ended[1].calls == 5
    assert found.fit == [RECORDS[1]]
    assert found.fit[0].own() == {"base": {3: 0.1, 5: 1e-9}, "general@1.0": {}}
    assert DRAFT.content() == {"messages": [dict(turn) for turn in DRAFT.messages or ()]}


def test_every_cut_of_the_last_line_leaves_the_others(tmp_path: Path) -> None:
    path = tmp_path / ROUNDS
    whole = b"".join(map(record_line, RECORDS[:2]))
    last = record_line(RECORDS[2])
    for cut in range(0, len(last), 7):
        path.write_bytes(whole + last[:cut])
        assert read_records(path) == RECORDS[:2]
    log = Log(path)
    log.add(RECORDS[2])
    log.close()
    assert read_records(path) == RECORDS[:3]


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / ROUNDS
    path.write_bytes(record_line(RECORDS[0]) + b'{"record": "outcome"}\n' + record_line(RECORDS[3]))
    with pytest.raises(DamagedArtifactError, match=r"rounds.jsonl:2 is damaged"):
        read_records(path)
    assert read_records(tmp_path / "none.jsonl") == []


def test_a_claim_ends_with_its_program_however_that_ends(tmp_path: Path) -> None:
    folder = tmp_path / "claimed"
    assert not is_claimed(folder)
    code = (
        "import sys, time; from pathlib import Path; from store.base.claims import claimed\n"
        "with claimed(Path(sys.argv[1])) as mine:\n    print(mine, flush=True); time.sleep(60)"
    )
    program = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    assert program.stdout.readline() == "True\n"
    assert is_claimed(folder)
    with claimed(folder) as mine:
        assert not mine
    program.kill()
    program.wait()
    program.stdout.close()
    assert not is_claimed(folder)
    with claimed(folder) as mine:
        assert mine
        assert is_claimed(folder)
