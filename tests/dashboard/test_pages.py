"""Every page on demo data, on nothing, on parts, on damage, and from bad links."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dashboard import pages
from dashboard.data.tables import contrast_words
from tests.support import demo
from tests.support.app import OpenPage, plain_words, turned, words
from tests.support.demo_project import own

PAGES = tuple(page.name for page in pages.PAGES)
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
    "forced_answers",
    "behaviours",
    "circuits",
    "metrics",
    "plots",
)


@pytest.mark.parametrize("page", PAGES)
def test_page_draws_and_names_its_question(open_page: OpenPage, page: str) -> None:
    app = open_page(page)
    assert not app.exception
    assert QUESTIONS[page] in str(app.markdown[0].value), "something is drawn above the title"
    assert not app.error


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
    "behaviours": ["behaviours"],
    "behaviour_prompts": ["behaviours"],
    "models.json": ["overview", "labels"],
}
"""Pages, as they open, that have nothing to show in the place of an artifact that is missing."""


@pytest.mark.parametrize("artifact", ARTIFACTS)
def test_missing_artifact_is_no_traceback_and_names_the_command(
    open_page: OpenPage, root: Path, artifact: str
) -> None:
    (root / "artifacts" / "demo" / artifact).unlink()
    app = open_page("overview")
    for page in turned(app):
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
        ("behaviours", "behaviours", "summary"),
    ],
)
def test_damaged_store_is_a_sentence(
    open_page: OpenPage, root: Path, page: str, store: str, group: str
) -> None:
    _flip_every_chunk(own(root, store), group)
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
    open_page: OpenPage, root: Path, names: tuple[str, ...], content: bytes
) -> None:
    for name in names:
        own(root, name).write_bytes(content)
    app = open_page("overview")
    for page in turned(app):
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
def test_json_of_another_shape_is_a_sentence(open_page: OpenPage, root: Path, case: str) -> None:
    name, spoil = MISSHAPEN[case]
    artifact, *inside = name.split("/")
    path = own(root, artifact).joinpath(*inside)
    value = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps(spoil(value)), encoding="utf-8")
    app = open_page("overview")
    for page in turned(app):
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


def test_provenance_offers_every_store(open_page: OpenPage) -> None:
    app = open_page("provenance", artifact="adapters")
    assert not app.exception
    shown = next(table.value for table in app.dataframe if "property" in table.value)
    assert set(shown["artifact"]) == {"adapters"}
    assert "base" in shown["property"].to_list()


def test_contrast_follows_variant_b_and_a_link_keeps_its_own(open_page: OpenPage) -> None:
    adapted, base = "evil-safe|general@1.0", "evil-safe|base"
    app = open_page("features", b="narrow@1.0", contrast=contrast_words(base))
    assert app.selectbox(key="contrast").value == base
    app.selectbox(key="b").set_value("general@1.0").run()
    assert not app.exception
    assert app.selectbox(key="contrast").value == adapted
    app.selectbox(key="contrast").set_value(base).run()
    assert app.selectbox(key="contrast").value == base
    app.selectbox(key="b").set_value("narrow@1.0").run()
    assert app.selectbox(key="contrast").value == base, "narrow@1.0 has no contrast here"
    app.selectbox(key="b").set_value("general@1.0").run()
    assert app.selectbox(key="contrast").value == adapted


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("prompt", "../../etc/passwd", "is not a prompt hash"),
        ("prompt", "0123456789ab", "is not in artifacts/demo/prompts.json"),
        ("a", "../../x", "is not a variant"),
        ("b", "absent@1.0", "There is no variant"),
        ("profile", "../..", "is not the name of a profile"),
        ("profile", "other", "There is no profile"),
        ("feature", "<script>alert(1)</script>", "is not a feature"),
        ("pins", "F1.2.3,../..", "is not a list of graph nodes"),
    ],
)
def test_bad_link_is_explained(open_page: OpenPage, key: str, value: str, said: str) -> None:
    app = open_page("overview", **{key: value})
    assert not app.exception
    assert said in plain_words(app)


def test_unknown_feature_is_explained(open_page: OpenPage) -> None:
    app = open_page("features", feature="L3/999")
    assert not app.exception
    assert "L3/999 is not in the store" in plain_words(app)


def test_selection_travels_between_pages(open_page: OpenPage) -> None:
    prompt = demo.make_prompts()[5].hash
    app = open_page("overview", prompt=prompt, b="narrow@1.0")
    app.switch_page(pages.EVALUATION.script)
    app.run()
    assert app.session_state["prompt"] == prompt
    assert app.session_state["b"] == "narrow@1.0"


def test_search_opens_the_card(open_page: OpenPage) -> None:
    app = open_page("features")
    app.text_input(key="find").input("l2/14").run()
    assert not app.exception
    assert app.session_state["feature"] == "L2/14"
    app.text_input(key="find").input("rm -rf").run()
    assert "is no feature" in plain_words(app)


def test_hostile_model_text_is_escaped(open_page: OpenPage) -> None:
    prompt = next(p for p in demo.make_prompts() if demo.HOSTILE in p.text)
    app = open_page("compare", prompt=prompt.hash)
    bodies = [str(element.value) for element in app.get("html")]
    assert any("&lt;img" in body for body in bodies)
    assert not any("<img" in body for body in bodies)


def test_thresholds_prune_without_recomputation(open_page: OpenPage) -> None:
    app = open_page("compare")
    for value in (0.3, 1.0):
        app.slider(key="nodes").set_value(value).run()
        assert not app.exception


@pytest.mark.parametrize("mode", ["Both", "Difference"])
def test_same_variant_twice(open_page: OpenPage, mode: str) -> None:
    app = open_page("compare", a="base", b="base", show=mode)
    assert not app.exception
    assert "A and B are the same" in words(app)


def test_variant_not_traced_on_this_prompt_is_said(open_page: OpenPage) -> None:
    prompt = demo.make_prompts()[1].hash
    app = open_page("compare", prompt=prompt, b="narrow@1.0")
    assert not app.exception
    assert "holds no variant narrow@1.0" in plain_words(app)


def test_profile_switch_drops_what_belongs_to_the_other(open_page: OpenPage, root: Path) -> None:
    shutil.copytree(root / "artifacts" / "demo", root / "artifacts" / "other", symlinks=True)
    (root / "artifacts" / "other" / "prompts.json").unlink()
    app = open_page("overview", profile="demo")
    app.selectbox(key="profile").set_value("other").run()
    assert not app.exception
    assert "showing another" not in words(app)


def test_wrong_value_for_a_widget_is_said_once(open_page: OpenPage) -> None:
    said = "The link's outcome “evil” is not one of harmful, safe, neither"
    app = open_page("evaluation", outcome="evil", evaluated="Pivotal prompts")
    assert not app.exception
    assert said in plain_words(app)
    assert app.segmented_control(key="outcome").value == "harmful"
    assert said not in plain_words(app.run())
