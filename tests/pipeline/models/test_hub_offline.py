"""Without the hub: a full cache is enough, and an empty one is said to be."""

import shutil
from collections.abc import Callable

import pytest

from pipeline.models import hub as client
from pipeline.models.hub import commit_of, fetched_file, fetched_folder
from pipeline.models.hub_errors import UnreachableError
from pipeline.models.hub_references import Reference
from pipeline.models.loading import load_replacement
from store.documents.variants import Variant
from tests.support.builders import Checkpoint
from tests.support.hub_server import HubServer
from tests.support.hub_subjects import one_sentence, upload_subject

GENERAL = Variant(name="general", scale=1.0)


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


def test_a_part_of_a_cache_is_taken_as_what_it_is(
    hub: HubServer, offline: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    # Which files a commit has is not known here: what is missing is told where it is needed.
    commit = hub.upload("a/b", {"config.json": b"1", "tokenizer.json": b"2"})
    at = Reference(repository="a/b", revision=commit)
    fetched_file(at, "config.json", "model")
    offline()
    folder = fetched_folder(at, "model")
    assert [path.name for path in folder.iterdir()] == ["config.json"]
    assert f"of the model a/b@{commit} is taken what its cache holds" in capsys.readouterr().out
