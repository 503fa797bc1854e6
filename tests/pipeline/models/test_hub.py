"""References to the hub: pinned to a commit, and fetched once."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants

from pipeline.models import hub as client
from pipeline.models.files import folder_of, pinned
from pipeline.models.hub_errors import UnreachableError
from pipeline.models.hub_references import Reference
from pipeline.models.loading import load_replacement
from pipeline.models.tokenizer import load_tokenizer
from store.base.errors import UserError
from store.documents.variants import Variant
from tests.support.builders import TEXTS, Checkpoint
from tests.support.hub_server import HubServer

GENERAL = Variant(name="general", scale=1.0)


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


@pytest.mark.parametrize("listed", ["", "[", '{"a": 1}', "[1]", '["config.json"]', "{}"])
def test_a_damaged_list_is_made_anew(hub: HubServer, listed: str) -> None:
    hub.upload("a/b", {"config.json": b"1"})
    source = pinned("a/b", None, "model")
    folder_of(source, "model")
    (path,) = client.LISTS.iterdir()
    path.write_text(listed)
    assert (folder_of(source, "model") / "config.json").is_file()
    assert json.loads(path.read_text()) == {"config.json": None}


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
