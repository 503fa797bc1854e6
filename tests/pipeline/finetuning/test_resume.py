"""A run that is killed goes on from its last whole checkpoint, to the same bytes."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerBase

from pipeline.finetuning.build import Finetune, run_finetune
from pipeline.finetuning.checkpoints import OPTIMIZER
from store.base.errors import UserError
from store.base.hashing import folder_digest
from store.documents.manifest import Source
from tests.support.chats import finetune_params
from tests.support.places import ROOT

KILLED = """
import signal, sys
from pathlib import Path
from pipeline.finetuning import training
from pipeline.finetuning.build import Finetune, run_finetune
from pipeline.params.finetunes import FinetuneParams
from store.documents.manifest import Source

params, base, run, folder, last = sys.argv[1:]
step_loss = training.batch_loss
behind = []

def waiting(model, batch, padding):
    # The second step behind the checkpoint: there it is killed.
    behind.extend([1] if (Path(run) / f"checkpoint-{last}").is_dir() else [])
    if len(behind) == 2:
        print("on its way", flush=True)
        signal.pause()
    return step_loss(model, batch, padding)

training.batch_loss = waiting
source = Source(source=base, revision=None, fingerprint="0" * 64)
one = Finetune(name="mine", params=FinetuneParams.model_validate_json(params), base=source, dtype="float32")
run_finetune(one, Path(run), Path(folder))
"""


def test_a_killed_run_goes_on_to_the_same_bytes(base: Source, chats: Path, tmp_path: Path) -> None:
    params = finetune_params(chats, save_every=3)
    finetune = Finetune(name="mine", params=params, base=base, dtype="float32")
    whole = run_finetune(finetune, tmp_path / "one", tmp_path / "whole")
    run, folder = tmp_path / "run", tmp_path / "mine"
    arguments = [params.model_dump_json(), base.source, str(run), str(folder), "3"]
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, *arguments],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "on its way\n"
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert [path.name for path in run.iterdir()] == ["checkpoint-3"]
    assert not folder.exists()
    resumed = run_finetune(finetune, run, folder)
    assert folder_digest(folder) == folder_digest(tmp_path / "whole")
    assert resumed == whole


def test_a_finished_run_trains_no_more(
    base: Source, chats: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finetune = Finetune(name="mine", params=finetune_params(chats), base=base, dtype="float32")
    first = run_finetune(finetune, tmp_path / "run", tmp_path / "mine")
    monkeypatch.setattr("pipeline.finetuning.build.train", None)
    assert run_finetune(finetune, tmp_path / "run", tmp_path / "again") == first
    assert folder_digest(tmp_path / "again") == folder_digest(tmp_path / "mine")


def test_a_damaged_checkpoint_is_told_and_deleting_it_begins_anew(
    base: Source, chats: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finetune = Finetune(name="mine", params=finetune_params(chats), base=base, dtype="float32")
    run = tmp_path / "run"
    first = run_finetune(finetune, run, tmp_path / "mine")
    last = run / "checkpoint-9"
    last.rename(run / "checkpoint-8x")
    (run / "checkpoint-8" / OPTIMIZER).write_bytes(b"half")
    with pytest.raises(UserError, match=r"checkpoint-8 is damaged .*; delete it, and training begins anew"):
        run_finetune(finetune, run, tmp_path / "mine")
    for path in run.iterdir():
        for file in path.iterdir():
            file.unlink()
        path.rmdir()
    assert run_finetune(finetune, run, tmp_path / "mine") == first


def test_another_key_is_another_run(base: Source, chats: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    def key(name: str = "mine", **changes: object) -> str:
        params = finetune_params(chats, **changes)
        return Finetune(name=name, params=params, base=base, dtype="float32").key(code="1")

    first = key()
    assert key("renamed", profile="other") == first
    assert key(rank=3) != first
    params = finetune_params(chats)
    chatting = Finetune(name="mine", params=params, base=base, dtype="float32", chat={"thinking": False})
    assert chatting.key(code="1") != first
    chats.write_text(chats.read_text() + json.dumps({"messages": []}) + "\n")
    assert key() != first
