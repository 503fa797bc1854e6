"""Pages of artifacts in object storage: the same words, one version a run, one sentence where they cannot."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.data import elsewhere, project
from store.base.errors import ArtifactMissingError
from store.documents.prompts import read_prompts, write_prompts
from store.remote.places import ObjectFiles, files_at
from store.remote.releases import push
from tests.support.app import OpenPage, plain_words, words
from tests.support.object_store import BUCKET, ObjectStore
from tests.support.trips import Trips

SHOWN = ("candidates", "graphs", "lexicon.json", "models.json", "prompts.json", "vocabulary.json")
"""What Compare needs of a profile; of all that the demo has, three thousand objects would be put."""


pytestmark = pytest.mark.usefixtures("no_origins_left")


@pytest.fixture
def place(
    root: Path, demo_root: Path, objects: ObjectStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> str:
    """Where the demo was pushed, in part; the project has no artifacts of its own."""
    shutil.rmtree(root / "artifacts")
    found = f"s3://{BUCKET}/{tmp_path.name}"
    monkeypatch.setenv(elsewhere.VARIABLE, found)
    return found


def pushed(part: Path, place: str) -> None:
    files = files_at(f"{place}/demo")
    assert isinstance(files, ObjectFiles)
    push(part, files)


@pytest.fixture
def part(demo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("part") / "demo"
    for name in SHOWN:
        path = demo_root / "artifacts" / "demo" / name
        folder.mkdir(exist_ok=True)
        (shutil.copytree if path.is_dir() else shutil.copyfile)(path, folder / name)
    return folder


def test_compare_says_there_what_it_says_here(
    part: Path,
    place: str,
    root: Path,
    open_page: OpenPage,
    objects: ObjectStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Every ten seconds it is asked anew which version is there.
    monkeypatch.setattr(elsewhere, "_now", lambda: 0)
    pushed(part, place)
    objects.requests.clear()
    with Trips() as trips:
        there = open_page("compare")
    assert trips.blocking <= 6, "what is small of a group comes with its root, documents with the first"
    assert not there.exception
    assert not there.error
    asked = [path for _, path in objects.requests]
    assert len(asked) == len(set(asked)), "nothing is asked for twice"
    objects.requests.clear()
    there.run()
    assert not objects.methods("/files/"), "and nothing again"
    steering = open_page("steering")
    assert f"`python -m store pull {place}/demo here/artifacts/demo`" in words(steering)
    assert not steering.exception
    monkeypatch.setenv(elsewhere.VARIABLE, str(part.parent))
    here = open_page("compare")
    assert plain_words(here) == plain_words(there)
    assert len(here.get("arrow_vega_lite_chart")) == len(there.get("arrow_vega_lite_chart"))


def test_a_run_sees_one_version_and_the_next_run_the_new_one(
    part: Path, place: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dashboard.data import documents

    for name in ("candidates", "graphs"):
        shutil.rmtree(part / name)
    moment = [0]
    monkeypatch.setattr(elsewhere, "_now", lambda: moment[0])

    def script() -> None:
        import streamlit as st

        from dashboard.data import documents, project

        if not st.session_state.get("stays"):
            project.begin()
        st.text(len(documents.prompts("demo")))

    pushed(part, place)
    count = len(documents.prompts("demo"))
    app = AppTest.from_function(script, default_timeout=180).run()
    assert app.text[0].value == str(count)
    write_prompts(part / "prompts.json", read_prompts(part / "prompts.json")[:-1])
    pushed(part, place)
    assert app.run().text[0].value == str(count), "of ten seconds' age"
    moment[0] += 1
    app.session_state["stays"] = True
    assert app.run().text[0].value == str(count), "a part of the page that runs again"
    app.session_state["stays"] = False
    assert app.run().text[0].value == str(count - 1)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("s4://bucket/emc", "EMC_ARTIFACTS: Storage of the kind 's4:' is not supported"),
        ("s3://nobody-has-it/emc", "cannot be used"),
        (f"s3://{BUCKET}/one", "which is one profile; name the folder above it"),
        (f"s3://{BUCKET}/holds", "Nothing was pushed to"),
    ],
)
def test_a_place_that_shows_nothing_is_told_in_a_sentence(
    address: str,
    said: str,
    root: Path,
    objects: ObjectStore,
    open_page: OpenPage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    objects.client().put_object(Bucket=BUCKET, Key="one/versions/x", Body=b"")
    objects.client().put_object(Bucket=BUCKET, Key="holds/something/x", Body=b"")
    monkeypatch.setenv(elsewhere.VARIABLE, address)
    app = open_page("compare")
    assert not app.exception
    assert len(app.error) == 1
    assert said in plain_words(app)


def test_another_folder_of_artifacts_is_shown(
    root: Path, demo_root: Path, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(root / "artifacts")
    monkeypatch.setenv(elsewhere.VARIABLE, f"file://{demo_root}/artifacts")
    assert project.profiles() == ["demo"]
    assert project.place() is None
    assert project.artifact("demo", "graphs") == demo_root / "artifacts" / "demo" / "graphs"
    assert not open_page("overview").exception


def test_models_run_only_with_the_folder_that_their_artifacts_are_of(
    root: Path, demo_root: Path, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the same names there are other weights in this project."""
    there = f"weights are not read from {demo_root}/artifacts, which EMC_ARTIFACTS names"
    assert there not in plain_words(open_page("steering"))
    monkeypatch.setenv(elsewhere.VARIABLE, f"file://{root}/artifacts")
    assert "which EMC_ARTIFACTS names" not in plain_words(open_page("steering"))
    monkeypatch.setenv(elsewhere.VARIABLE, f"file://{demo_root}/artifacts")
    steering = open_page("steering")
    assert not steering.exception
    assert there in plain_words(steering)
    assert f"`EMC_ROOT={demo_root}` without EMC_ARTIFACTS" in plain_words(steering)


def test_an_adapter_alone_that_was_made_elsewhere_is_not_loaded(
    root: Path, demo_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dashboard.data import documents
    from dashboard.live import models

    found = documents.models("demo")
    hub = replace(found.base, source="owner/base", revision="0" * 40)
    codes = replace(found.transcoders, source="owner/transcoders", revision="0" * 40)
    adapters = {name: replace(each, source="owner/adapter") for name, each in found.adapters.items()}
    name, adapter = next(iter(adapters.items()))
    own = replace(adapter, source="artifacts/demo/finetunes/x")
    monkeypatch.setenv(elsewhere.VARIABLE, f"file://{demo_root}/artifacts")
    plain = replace(found, base=hub, transcoders=codes, adapters=adapters, checkpoints={})
    for held, fits in (
        (plain, True),
        (replace(plain, adapters={**adapters, name: own}), False),
        (replace(plain, checkpoints={f"{name}:1": own}), False),
    ):
        monkeypatch.setattr(documents, "models", lambda profile, held=held: held)
        if fits:
            models.require("demo")
        else:
            with pytest.raises(models.NotLiveError, match="which EMC_ARTIFACTS names"):
                models.require("demo")


def test_what_was_not_pushed_is_to_be_pushed(part: Path, place: str, root: Path, open_page: OpenPage) -> None:
    shutil.rmtree(part / "graphs")
    pushed(part, place)
    said = plain_words(open_page("compare"))
    assert f"It was not pushed to {place}: `dvc repro" in said
    assert "`python -m store push` there brings it" in said
    assert "dvc pull" not in said
    path = project.artifact("demo", "graphs")
    with pytest.raises(
        ArtifactMissingError, match=rf"^graphs was not pushed to {place}; `python -m store push`"
    ):
        project.fresh(path, lambda path, key: None)
