"""What goes wrong between here and the hub: a sentence by cause."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from huggingface_hub import constants

from pipeline.models.files import folder_of, pinned
from pipeline.models.hub import fetched_file
from pipeline.models.hub_references import Reference
from pipeline.params.project import Params
from pipeline.run.stage import run_stage
from pipeline.stages import models
from tests.support.builders import Checkpoint
from tests.support.hub_server import HubServer
from tests.support.hub_subjects import one_sentence, upload_subject
from tests.support.places import ROOT

FAULTS = {
    "gated": ("is gated: ask for access at http", "hf auth login"),
    "missing": ("neither a folder here nor a hub repository", "correct the name in params.yaml"),
    "wrong token": ("does not accept the token here", "hf auth login"),
    "forbidden": ("forbids it to who is logged in here", "hf auth login"),
    "disabled": ("has taken a/b down", "name another copy"),
    "too often": ("asked too often (429)", "wait some minutes"),
    "down": ("answers 503", "run again later"),
}
"""What each says and no other does, and the way out."""


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("at", ["/api/models/a/b/revision", "/api/models/a/b/tree"])
def test_every_fault_is_a_sentence_of_its_own(hub: HubServer, fault: str, at: str) -> None:
    hub.upload("a/b", {"config.json": b"1"})
    hub.fault = lambda path: fault if path.startswith(at) else ""
    message = one_sentence(lambda: folder_of(pinned("a/b", None, "model"), "model"))
    assert message.startswith("The model a/b")
    assert all(part in message for part in FAULTS[fault])
    others = [parts[0] for name, parts in FAULTS.items() if name != fault]
    assert not any(other in message for other in others)


def test_who_is_not_logged_in_does_not_see_what_is_private(hub: HubServer) -> None:
    hub.fault = lambda path: "not logged in"
    message = one_sentence(lambda: pinned("a/b", None, "model"))
    assert "a/b is not there, or private; correct the name in params.yaml, or log in with `hf" in message


def test_a_gate_that_only_files_have(hub: HubServer) -> None:
    # As the hub has it: what a gated model is like may be read by all.
    commit = hub.upload("a/b", {"config.json": b"1"})
    hub.fault = lambda path: "gated" if "/resolve/" in path else ""
    message = one_sentence(lambda: folder_of(pinned("a/b", None, "adapter"), "adapter"))
    assert f"The adapter a/b@{commit} is gated: ask for access at {hub.url}/a/b, " in message


def test_a_name_a_revision_and_a_file_that_are_not_there(hub: HubServer) -> None:
    commit = hub.upload("a/b", {"config.json": b"1"})
    assert "a/c is not there, or private" in one_sentence(lambda: pinned("a/c", None, "model"))
    message = one_sentence(lambda: pinned("a/b@v9", None, "model"))
    assert "has no revision v9" in message
    assert f"{hub.url}/a/b/tree/main lists those there are" in message
    missing = "0" * 40
    message = one_sentence(lambda: folder_of(pinned(f"a/b@{missing}", None, "model"), "model"))
    assert f"has no revision {missing}" in message
    at = Reference(repository="a/b", revision=commit)
    assert "has no file x.yaml at that" in one_sentence(lambda: fetched_file(at, "x.yaml", "transcoders"))


def test_a_broken_download_is_said_and_gone_on_with(hub: HubServer) -> None:
    hub.upload("a/b", {"config.json": b"1" * 5000, "tokenizer.json": b"2" * 5000})
    source = pinned("a/b", None, "model")
    hub.fault = lambda path: "cut" if path.endswith("tokenizer.json") else ""
    message = one_sentence(lambda: folder_of(source, "model"))
    assert "was interrupted; run again" in message
    hub.fault = lambda path: ""
    hub.asked.clear()
    assert (folder_of(source, "model") / "tokenizer.json").read_bytes() == b"2" * 5000
    assert not any(method == "GET" and path.endswith("/config.json") for method, path in hub.asked)


def test_a_hub_that_fails_between_two_requests(hub: HubServer) -> None:
    # Its client is then content with the files that are there, however many are missing.
    commit = hub.upload("a/b", {"config.json": b"1", "tokenizer.json": b"2"})
    source = pinned("a/b", None, "model")
    fetched_file(Reference(repository="a/b", revision=commit), "config.json", "model")
    hub.fault = lambda path: "down" if "/revision/" in path else ""
    assert "was interrupted; run again" in one_sentence(lambda: folder_of(source, "model"))
    hub.fault = lambda path: ""
    assert (folder_of(source, "model") / "tokenizer.json").read_bytes() == b"2"


def test_a_storage_of_its_own_that_fails(hub: HubServer, tmp_path: Path) -> None:
    # Its client is written in Rust, with threads that outlive a test: in a process of its own.
    commit = hub.upload("a/b", {"model.safetensors": b"1" * 100})
    hub.stores_apart = True
    code = (
        "import sys; from pipeline.models.hub import *; from store.base.errors import UserError\n"
        "try: fetched_folder(Reference(repository='a/b', revision=sys.argv[1]), 'model')\n"
        "except UserError as error: print(error)\n"
    )
    home = {"HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code, commit],
        env={**os.environ, **home, "PYTHONPATH": str(ROOT), "HF_HUB_DISABLE_PROGRESS_BARS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    message = done.stdout.strip()
    assert message.startswith(f"The download of the model a/b@{commit} was interrupted (Network error: ")
    assert message.endswith("where that repeats itself, HF_HUB_DISABLE_XET=1 fetches them another way.")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("address", ["nowhere", "http://", "ftp://a/b"])
def test_an_endpoint_that_is_none(hub: HubServer, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", address)
    message = one_sentence(lambda: pinned("a/b", None, "model"))
    assert f"HF_ENDPOINT is {address}, which is no address of a web server" in message


def test_a_mistyped_adapter_is_told_before_weights_are_fetched(
    hub: HubServer, checkpoint: Checkpoint
) -> None:
    subject = upload_subject(hub, checkpoint)
    for wrong, says in (
        ({"adapters": {"general": "some/genral"}}, "The adapter some/genral is neither"),
        ({"adapters": {"general": "some/general@v9"}}, "has no revision v9"),
        ({"transcoders": "some/sets"}, "The transcoders some/sets is neither"),
        ({"transcoders": "some/general"}, "has no file config.yaml"),
        ({"model": "some/set"}, "has no file config.json"),
    ):
        message = one_sentence(lambda wrong=wrong: checkpoint.manifest(**(subject | wrong)))
        assert says in message
    fetched = {path.split("/")[-1] for method, path in hub.asked if method == "GET" and "/resolve/" in path}
    assert fetched <= {"config.yaml", "config.json"}


def test_a_cache_that_cannot_be_written(hub: HubServer, tmp_path: Path) -> None:
    hub.upload("a/b", {"config.json": b"1"})
    (tmp_path / "cache").write_text("a file where the cache should be")
    message = one_sentence(lambda: pinned("a/b", None, "model"))
    assert "cannot be kept in the hub's cache" in message


def test_a_stage_ends_with_a_sentence(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    content["profiles"]["organism"] |= {"model": "nobody/nothing", "local": "here", "prompts": ["here"]}
    content["profiles"]["organism"] |= {"lexicon": None, "texts": None, "questions": []}
    (tmp_path / "here").mkdir()
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["models", "organism"])
    with pytest.raises(SystemExit) as ended:
        run_stage(models.main, Params)
    # A text is written to stderr, and the exit code is 1.
    assert str(ended.value).startswith("Error: The model nobody/nothing is neither a folder here nor a hub")
