"""Every page on nothing, on parts, and on damage: a sentence with the way out, never a traceback."""

import builtins
import io
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from dashboard import pages
from tests.support import demo
from tests.support.app import OpenPage, turned, words
from tests.support.demo_project import own

QUESTIONS = {page.name: page.question for page in pages.PAGES}
ARTIFACTS = (
    "models.json",
    "prompts.json",
    "vocabulary.json",
    "lexicon.json",
    "candidates",
    "graphs",
    "adapters",
    "components",
    "gates",
    "dose",
    "activations",
    "samples",
    "outcomes",
    "features",
    "rates",
    "questions.json",
    "answers",
    "answer_scores",
    "answer_features",
    "misalignment",
    "response_features",
    "behaviour_prompts",
    "by_behaviour",
    "circuits",
    "metrics",
    "plots",
)


def test_empty_project_says_what_would_be_here_and_the_command(open_page: OpenPage, root: Path) -> None:
    shutil.rmtree(root / "artifacts")
    app = open_page("overview")
    for page in turned(app):
        assert not app.exception, page
        assert "Nothing here yet" in words(app), page
        assert "dvc repro" in words(app), page


NEEDED = {
    "graphs": ["compare"],
    "prompts.json": ["compare", "labels"],
    "vocabulary.json": ["labels"],
    "candidates": ["labels"],
    "features": ["features"],
    "rates": ["overview"],
    "questions.json": ["evaluation"],
    "answer_scores": ["evaluation"],
    "misalignment": ["evaluation"],
    "by_behaviour": ["behaviours"],
    "behaviour_prompts": ["behaviours"],
    "models.json": ["overview", "labels"],
}
"""Pages, as they open, that have nothing to show in the place of an artifact that is missing."""


@pytest.fixture(scope="module")
def _known() -> dict[str, set[str]]:
    return {}


@pytest.fixture
def looking(
    _known: dict[str, set[str]], open_page: OpenPage, root: Path, monkeypatch: pytest.MonkeyPatch
) -> Mapping[str, set[str]]:
    """Pages by artifact that they look at where all are whole: no other page can tell its damage."""
    import streamlit as st

    folder, seen = root / "artifacts" / "demo", set[str]()

    def watched(look: Callable[..., Any]) -> Callable[..., Any]:
        def looked(path: Any, *args: Any, **options: Any) -> Any:
            if isinstance(path, str | os.PathLike) and Path(path).is_relative_to(folder):
                seen.update(Path(path).relative_to(folder).parts[:1])
            return look(path, *args, **options)

        return looked

    if not _known:
        found: dict[str, set[str]] = {}
        with monkeypatch.context() as patched:
            # A page asks for an artifact's state before it reads it, but for what lies beside one.
            for of, name in (
                (os, "stat"),
                (os, "scandir"),
                (os, "listdir"),
                (io, "open"),
                (builtins, "open"),
            ):
                patched.setattr(of, name, watched(getattr(of, name)))
            for page in turned(open_page("overview")):
                for artifact in seen:
                    found.setdefault(artifact, set()).add(page)
                seen.clear()
                st.cache_data.clear()  # else the next page finds there what this one has read
                st.cache_resource.clear()
        _known.update(found)
    return _known


def test_every_artifact_is_looked_at(looking: Mapping[str, set[str]]) -> None:
    assert set(ARTIFACTS) - set(looking) == {"plots"}, "which DVC alone shows"
    for artifact, pages_of_it in NEEDED.items():
        assert set(pages_of_it) <= looking[artifact]


@pytest.mark.parametrize("artifact", ARTIFACTS)
def test_missing_artifact_is_no_traceback_and_names_the_command(
    looking: Mapping[str, set[str]], open_page: OpenPage, root: Path, artifact: str
) -> None:
    (root / "artifacts" / "demo" / artifact).unlink()
    if artifact == "graphs":  # and who turns from a page that lacks something finds the next one whole
        app = open_page("overview")
        assert [page for page in turned(app) if app.exception] == []
    for page in sorted(looking.get(artifact, {"provenance"})):
        app = open_page(page)
        assert not app.exception, page
        assert QUESTIONS[page] in words(app), page
        if page in NEEDED.get(artifact, []):
            assert "Nothing here yet" in words(app), page
            assert "` makes it; `dvc pull` fetches it" in words(app), page


def _flip_every_chunk(store: Path, group: str) -> None:
    for path in (store / group).rglob("*"):
        if path.is_file() and path.name != "zarr.json":
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 0xFF
            path.write_bytes(content)


@pytest.mark.parametrize(
    ("page", "store", "group"),
    [
        ("features", "features", "ranking"),
        ("overview", "rates", "rates"),
        ("evaluation", "misalignment", "rates"),
        ("evaluation", "answer_scores", "scores"),
        ("behaviours", "by_behaviour/behaviours/recall", "summary"),
    ],
)
def test_damaged_store_is_a_sentence(
    open_page: OpenPage, root: Path, page: str, store: str, group: str
) -> None:
    artifact, *inside = store.split("/")
    _flip_every_chunk(own(root, artifact).joinpath(*inside), group)
    app = open_page(page)
    assert not app.exception
    said = " ".join(str(element.value) for element in app.error).replace("\\", "")
    assert f"artifacts/demo/{store}" in said
    assert "dvc" in said
    assert str(root) not in said


def test_damaged_graph_names_array_and_prompt_and_the_rest_stays(open_page: OpenPage, root: Path) -> None:
    prompt = demo.make_prompts()[0].hash
    store = own(root, "graphs")
    for group in store.iterdir():
        if group.is_dir() and group.name != "index":
            _flip_every_chunk(store, group.name)
    app = open_page("compare", prompt=prompt)
    assert not app.exception
    said = " ".join(str(element.value) for element in app.error).replace("\\", "")
    assert prompt in said
    assert "Candidates" in words(app)


@pytest.mark.parametrize("content", [b'"\xff"', b"null"])
@pytest.mark.parametrize("names", [("prompts.json",), ("models.json",), ("lexicon.json", "vocabulary.json")])
def test_damaged_json_is_a_sentence(
    looking: Mapping[str, set[str]],
    open_page: OpenPage,
    root: Path,
    names: tuple[str, ...],
    content: bytes,
) -> None:
    for name in names:
        own(root, name).write_bytes(content)
    for page in sorted(set().union(*(looking[name] for name in names))):
        app = open_page(page)
        assert not app.exception, (page, [error.value for error in app.exception])
        assert QUESTIONS[page] in words(app), page


def _domains_as_lists(lexicon: dict[str, Any]) -> Any:
    return lexicon | {"domains": {domain: [1] for domain in lexicon["domains"]}}


MISSHAPEN: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "lexicon: a domain is a list": ("lexicon.json", _domains_as_lists),
    "models: base is null": ("models.json", lambda value: value | {"base": None}),
    "models: adapters is null": ("models.json", lambda value: value | {"adapters": None}),
    "vocabulary: numbers": ("vocabulary.json", lambda value: list(range(len(value)))),
    "health: variants are lists": (
        "metrics/health.json",
        lambda value: {**value, "variants": {"base": [1]}, "base": [1]},
    ),
    "rates metrics: a number": ("metrics/rates.json", lambda value: 1),
}


@pytest.mark.parametrize("case", MISSHAPEN)
def test_json_of_another_shape_is_a_sentence(
    looking: Mapping[str, set[str]], open_page: OpenPage, root: Path, case: str
) -> None:
    name, spoil = MISSHAPEN[case]
    artifact, *inside = name.split("/")
    path = own(root, artifact).joinpath(*inside)
    value = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps(spoil(value)), encoding="utf-8")
    for page in sorted(looking[artifact]):
        app = open_page(page)
        assert not app.exception, (page, [error.value for error in app.exception])
        assert QUESTIONS[page] in words(app), page


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("dvc.lock", "stages: [1]"),
        ("dvc.lock", "stages:\n  graphs: null"),
        ("dvc.yaml", "stages:\n  graphs: null"),
        ("dvc.yaml", "stages: 3"),
    ],
)
def test_yaml_of_another_shape_is_a_sentence(
    open_page: OpenPage,
    root: Path,
    name: str,
    text: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # No `dvc status` beside the page: it would outlive the test.
    monkeypatch.setattr("dashboard.data.dvc_status.in_progress", lambda root: True)
    (root / "dvc.yaml").write_text("stages: {}", encoding="utf-8")
    (root / name).write_text(text, encoding="utf-8")
    app = open_page("provenance")
    assert not app.exception, [error.value for error in app.exception]
    said = " ".join(str(element.value) for element in app.error).replace("\\", "")
    assert "stages of the pipeline" in said
    assert "dvc repro" in said
    assert any(record.exc_info for record in caplog.records)
