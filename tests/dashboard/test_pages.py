"""Every page on demo data, and from bad links."""

import shutil
from pathlib import Path

import pytest

from dashboard import pages
from dashboard.data.tables import contrast_words
from dashboard.shell import downloads
from tests.support import demo
from tests.support.app import OpenPage, plain_words, words

PAGES = tuple(page.name for page in pages.PAGES)
QUESTIONS = {page.name: page.question for page in pages.PAGES}


@pytest.fixture
def checked_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hold every chart that is drawn against Vega-Lite's schema, which the server does not."""
    monkeypatch.setattr(downloads._Unchecked, "to_dict", lambda drawn: drawn.figure.to_dict(validate=True))


@pytest.mark.usefixtures("checked_charts")
@pytest.mark.parametrize("page", PAGES)
def test_page_draws_and_names_its_question(open_page: OpenPage, page: str) -> None:
    app = open_page(page)
    assert not app.exception
    assert QUESTIONS[page] in str(app.markdown[0].value), "something is drawn above the title"
    assert not app.error


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
