"""References to the hub: pinned, fetched once, offline, and what goes wrong in a sentence each."""

import io
import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from huggingface_hub import constants
from huggingface_hub.utils import reset_sessions
from safetensors.numpy import load_file

from pipeline.models import hub as client
from pipeline.models.files import folder_of, pinned
from pipeline.models.hub import Reference, UnreachableError, commit_of, fetched_file, fetched_folder
from pipeline.models.loading import load_replacement, load_transcoders
from pipeline.models.tokenizer import load_tokenizer
from pipeline.params.project import Params
from pipeline.run.stage import run_stage
from pipeline.stages import models
from store.base.errors import UserError
from store.documents.manifest import read_manifest, write_manifest
from store.documents.variants import Variant
from tests.support.builders import TEXTS, Checkpoint
from tests.support.hub_server import HubServer, asked_by, hub_server
from tests.support.places import ROOT

GENERAL = Variant(name="general", scale=1.0)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    monkeypatch.chdir(tmp_path)
    with hub_server() as server, asked_by(monkeypatch, server, tmp_path / "cache"):
        yield server


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def forbid() -> None:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        reset_sessions()

    return forbid


@pytest.fixture
def no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    stack = ExitStack()

    def cut() -> None:
        nowhere = HubServer(url="http://127.0.0.1:9")
        stack.enter_context(asked_by(monkeypatch, nowhere, tmp_path / "cache"))

    with stack:
        yield cut


def one_sentence(call: Callable[[], Any]) -> str:
    with pytest.raises(UserError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("owner/name", ("owner/name", "", None)),
        ("owner/name@v1.0", ("owner/name", "", "v1.0")),
        ("owner/name@refs/pr/3", ("owner/name", "", "refs/pr/3")),
        ("owner/name/checkpoint-1191", ("owner/name", "checkpoint-1191", None)),
        ("owner/name/a/b@main", ("owner/name", "a/b", "main")),
    ],
)
def test_a_reference_is_read(text: str, expected: tuple[str, str, str | None]) -> None:
    reference = Reference.parse(text)
    assert reference is not None
    assert (reference.repository, reference.folder, reference.revision) == expected
    assert str(reference) == text


@pytest.mark.parametrize(
    "text", ["", "name", "/a/b", "./a/b", "a/../b", "a/b/../c", "a b/c", "a/b--c", "ü/b"]
)
@pytest.mark.parametrize("revision", ["", "@", "@../c", "@c/../../d"])
def test_what_is_no_reference(text: str, revision: str) -> None:
    assert Reference.parse(text + revision) is None
    assert not revision or Reference.parse("a/b" + revision) is None


def test_a_mistyped_path_is_no_reference(hub: HubServer, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    with pytest.raises(UserError, match="folder models/mine/base does not exist"):
        pinned("models/mine/base", None, "model")
    assert hub.asked == []


def test_a_revision_is_given_once(hub: HubServer) -> None:
    for revision in ("../../x", "v 1", "v1/../../x"):
        with pytest.raises(UserError, match="is no hub name"):
            pinned("a/b", revision, "model")
    with pytest.raises(
        UserError, match=r"names a revision, and so does its own parameter \(v2\); delete one"
    ):
        pinned("a/b@v1", "v2", "model")


def test_a_branch_is_pinned_and_fetched_once(hub: HubServer) -> None:
    first = hub.upload("a/b", {"config.json": b"1", "notes.md": b"", "sub/config.json": b"2"})
    source = pinned("a/b", None, "model")
    assert (source.source, source.revision) == ("a/b", first)
    folder = folder_of(source, "model")
    assert sorted(path.name for path in folder.iterdir()) == ["config.json"]
    # Uploaded again: what was pinned stays what it is, and is not asked for.
    second = hub.upload("a/b", {"config.json": b"3"})
    hub.asked.clear()
    assert (folder_of(source, "model") / "config.json").read_bytes() == b"1"
    assert hub.asked == []
    again = pinned("a/b", None, "model")
    assert again.revision == second
    assert again.fingerprint != source.fingerprint
    assert (folder_of(again, "model") / "config.json").read_bytes() == b"3"


def test_a_folder_that_was_made_since_does_not_stand_for_the_hub(hub: HubServer, tmp_path: Path) -> None:
    hub.upload("a/b", {"config.json": b"1"})
    source = pinned("a/b", None, "model")
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert (folder_of(source, "model") / "config.json").read_bytes() == b"1"


def test_what_was_deleted_from_the_cache_is_fetched_again(hub: HubServer) -> None:
    hub.upload("a/b", {"config.json": b"1", "tokenizer.json": b"2"})
    source = pinned("a/b", None, "model")
    (folder_of(source, "model") / "tokenizer.json").unlink()
    assert (folder_of(source, "model") / "tokenizer.json").read_bytes() == b"2"


def test_a_damaged_ref_of_the_cache_is_no_commit(hub: HubServer, offline: Callable[[], None]) -> None:
    hub.upload("a/b", {"config.json": b"1"})
    pinned("a/b", None, "model")
    (ref,) = Path(constants.HF_HUB_CACHE).glob("*/refs/main")
    ref.write_text("../../elsewhere")
    offline()
    with pytest.raises(UnreachableError, match="HF_HUB_OFFLINE forbids"):
        pinned("a/b", None, "model")


@pytest.mark.parametrize("listed", ["", "[", '{"a": 1}', "[1]", "[]"])
def test_a_damaged_list_is_made_anew(hub: HubServer, listed: str) -> None:
    hub.upload("a/b", {"config.json": b"1"})
    source = pinned("a/b", None, "model")
    folder_of(source, "model")
    (path,) = client.LISTS.iterdir()
    path.write_text(listed)
    assert (folder_of(source, "model") / "config.json").is_file()
    assert json.loads(path.read_text()) == ["config.json"]


def test_a_subfolder_and_a_revision_of_an_adapter(hub: HubServer, checkpoint: Checkpoint) -> None:
    general = checkpoint.adapter("general")
    files = {f"checkpoint-1191/{path.name}": path.read_bytes() for path in general.iterdir()}
    commit = hub.upload("someone/organism", files | {"README.md": b""}, branch="seeds")
    manifest = checkpoint.manifest(adapters={"general": "someone/organism/checkpoint-1191@seeds"})
    facts = manifest.adapters["general"]
    assert (facts.source, facts.revision) == ("someone/organism/checkpoint-1191", commit)
    assert facts.targets == checkpoint.manifest().adapters["general"].targets
    ids = torch.tensor(load_tokenizer(manifest)(TEXTS[0]).input_ids)
    with torch.no_grad():
        found, expected = (load_replacement(each, GENERAL)(ids) for each in (manifest, checkpoint.manifest()))
    assert torch.equal(found, expected)
    with pytest.raises(UserError, match=r"has no folder checkpoint-9 at that revision"):
        checkpoint.manifest(adapters={"general": "someone/organism/checkpoint-9@seeds"})


def upload_subject(hub: HubServer, checkpoint: Checkpoint) -> dict[str, Any]:
    """A subject of which everything is on the hub; the transcoders' files in a repository of their own."""
    hub.upload("some/base", checkpoint.base)
    hub.upload("some/general", checkpoint.adapter("general"))
    config = yaml.safe_load((checkpoint.transcoders / "config.yaml").read_text())
    config["transcoders"] = [f"hf://some/layers/deep/{name}?revision=main" for name in config["transcoders"]]
    hub.upload("some/set", {"config.yaml": yaml.safe_dump(config).encode()})
    layers = checkpoint.transcoders.glob("*.safetensors")
    hub.upload("some/layers", {f"deep/{path.name}": path.read_bytes() for path in layers})
    return {"model": "some/base", "transcoders": "some/set", "adapters": {"general": "some/general"}}


def test_files_of_other_repositories_are_pinned(
    hub: HubServer, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    subject = upload_subject(hub, checkpoint)
    first = checkpoint.manifest(**subject)
    commit = hub.commit("some/layers", "main")
    assert first.transcoders.repositories == {"some/layers@main": commit}
    write_manifest(tmp_path / "models.json", first)
    assert read_manifest(tmp_path / "models.json") == first
    expected = load_transcoders(checkpoint.manifest())[1].W_dec
    assert torch.equal(load_transcoders(first)[1].W_dec, expected)
    # Uploaded again, with other weights: the old manifest loads the old ones, the new one differs.
    files = hub.files("some/layers", commit)
    hub.upload("some/layers", {name: content[:-4] + b"\0\0\x80\x3f" for name, content in files.items()})
    assert torch.equal(load_transcoders(first)[1].W_dec, expected)
    second = checkpoint.manifest(**subject)
    assert second.transcoders.revision == first.transcoders.revision
    assert second.transcoders.fingerprint != first.transcoders.fingerprint
    assert second.fingerprint(GENERAL) != first.fingerprint(GENERAL)
    changed = load_transcoders(second)
    stored = load_transcoders(first)
    pairs = zip(changed[1].state_dict().values(), stored[1].state_dict().values(), strict=True)
    assert not all(torch.equal(new, old) for new, old in pairs)


def test_a_folder_here_may_name_files_on_the_hub(
    hub: HubServer, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    upload_subject(hub, checkpoint)
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "config.yaml").write_bytes(
        hub.files("some/set", str(hub.commit("some/set", "main")))["config.yaml"]
    )
    manifest = checkpoint.manifest(transcoders=str(folder))
    assert models.commits(manifest) == [("some/layers@main", hub.commit("some/layers", "main"))]
    assert manifest.transcoders.revision is None
    assert manifest.transcoders.repositories == {"some/layers@main": hub.commit("some/layers", "main")}
    text = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(text.replace("revision=main", "revision=v2"))
    with pytest.raises(UserError, match=r"was not named when the models were looked at; run `dvc repro`"):
        load_transcoders(manifest)
    for wrong in ("hf://some", "hf:///x", "hf://some/layers", "hf://a/b/../../c.safetensors", "hf://[/a/b"):
        (folder / "config.yaml").write_text(re.sub(r"hf://\S+", wrong, text))
        with pytest.raises(UserError, match=r"is no address of a file on the hub; write `hf://owner/name"):
            checkpoint.manifest(transcoders=str(folder))


def test_gemma_scope_lists_arrays_of_another_repository(hub: HubServer, checkpoint: Checkpoint) -> None:
    config = yaml.safe_load((checkpoint.transcoders / "config.yaml").read_text())
    config["transcoders"] = [f"hf://google/scope/layer_{i}/params.npz?revision=v1" for i in range(3)]
    hub.upload("mntss/gemma-scope-transcoders", {"config.yaml": yaml.safe_dump(config).encode()})
    arrays = {}
    for layer in range(3):
        stored = load_file(checkpoint.transcoders / f"layer_{layer}.safetensors")
        threshold = stored.pop("activation_function.threshold")
        written = io.BytesIO()
        np.savez(written, **(stored | {"W_enc": stored["W_enc"].T, "threshold": threshold}))
        arrays[f"layer_{layer}/params.npz"] = written.getvalue()
    commit = hub.upload("google/scope", arrays, branch="v1")
    manifest = checkpoint.manifest(transcoders="mntss/gemma-scope-transcoders")
    assert manifest.transcoders.repositories == {"google/scope@v1": commit}
    found, expected = load_transcoders(manifest), load_transcoders(checkpoint.manifest())
    x = torch.randn(3, 5, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(found.encode(x), expected.encode(x))


def test_manifests_of_the_version_before_are_read(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "models.json"
    write_manifest(path, checkpoint.manifest())
    document = json.loads(path.read_text())
    del document["transcoders"]["repositories"]
    path.write_text(json.dumps(document | {"format_version": 1}))
    assert read_manifest(path) == checkpoint.manifest()


@pytest.mark.parametrize("away", ["offline", "no_network"])
def test_a_full_cache_is_enough(
    hub: HubServer,
    checkpoint: Checkpoint,
    away: str,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # A branch is what the cache knows of it, and no commit needs the network.
    subject = upload_subject(hub, checkpoint)
    online = checkpoint.manifest(**subject)
    load_replacement(online, GENERAL)
    request.getfixturevalue(away)()
    hub.asked.clear()
    load_replacement(online, GENERAL)
    assert "cannot be reached" not in capsys.readouterr().out
    assert checkpoint.manifest(**subject) == online
    assert f"some/base is commit {online.base.revision}, as its cache knows" in capsys.readouterr().out
    # So, too, without our own list of what was fetched, as another program leaves the cache.
    shutil.rmtree(client.LISTS)
    assert checkpoint.manifest(**subject) == online
    load_replacement(online, GENERAL)
    assert hub.asked == []


@pytest.mark.parametrize(
    ("away", "says"), [("offline", "HF_HUB_OFFLINE forbids to fetch it"), ("no_network", "check the network")]
)
def test_an_empty_cache_is_not(hub: HubServer, away: str, says: str, request: pytest.FixtureRequest) -> None:
    commit = hub.upload("a/b", {"config.json": b"1"})
    request.getfixturevalue(away)()
    at = Reference(repository="a/b", revision=commit)
    for call in (
        lambda: commit_of(Reference(repository="a/b"), "model"),
        lambda: fetched_folder(at, "model"),
    ):
        message = one_sentence(call)
        assert message.startswith("The model a/b")
        assert says in message
        with pytest.raises(UnreachableError):
            call()


FAULTS = {
    "gated": ("is gated: ask for access at http", "hf auth login"),
    "missing": ("neither a folder here nor a hub repository", "correct the name in params.yaml"),
    "wrong token": ("does not accept the token here", "hf auth login"),
    "forbidden": ("forbids it to who is logged in here", "hf auth login"),
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
