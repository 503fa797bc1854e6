"""A stored prompt that lacks a variant or its doses is traced on the page, and kept by its tag."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.views.compare.tabs import DOSE
from store.documents.prompts import write_prompts
from tests.support import demo
from tests.support.app import OpenPage, plain_words, words
from tests.support.demo_project import give_parameters, own

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

PAIR = {"a": "base", "b": "narrow@1.0"}


@pytest.fixture
def compare(open_page: OpenPage, root: Path, live: None) -> Callable[..., AppTest]:
    give_parameters(root)
    return lambda **query: open_page("compare", prompt=demo.make_prompts()[1].hash, **query)


def ask(app: AppTest, what: str) -> AppTest:
    """As the button in the opened popover does, which AppTest cannot open."""
    app.session_state["_traced_now"] = (f"demo {demo.make_prompts()[1].hash} {what}",)
    return app.run()


def test_a_variant_that_is_missing_is_traced(compare: Callable[..., AppTest]) -> None:
    app = compare(**PAIR)
    assert "the store holds no variant narrow@1.0" in plain_words(app)
    ask(app, "base and narrow@1.0")
    assert not app.exception, [error.value for error in app.exception]
    assert not app.error, [error.value for error in app.error]
    assert "the store holds no variant" not in plain_words(app)
    assert "base and narrow@1.0 in" in plain_words(app)
    assert "None to show" not in words(app)
    assert "typed" not in plain_words(app)
    # Another pair is another question.
    app.selectbox(key="b").set_value("general@1.0").run()
    assert "traced now" not in plain_words(app)


def test_doses_that_are_missing_are_traced(compare: Callable[..., AppTest]) -> None:
    app = compare(view=DOSE)
    assert "not traced at several scales" in plain_words(app)
    ask(app, "several scales")
    assert not app.exception, [error.value for error in app.exception]
    assert not app.error, [error.value for error in app.error]
    assert "Probability of the next token" in words(app)


def test_keeping_tags_the_line_of_the_prompt(compare: Callable[..., AppTest], root: Path) -> None:
    prompt = demo.make_prompts()[1]
    name, _, number = prompt.source.rpartition(":")
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ['{"prompt": "another"}'] * (int(number) - 1) + [json.dumps({"prompt": prompt.text})]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    app = ask(compare(**PAIR), "base and narrow@1.0")
    app.button(key="keep-base and narrow@1.0").click().run()
    assert not app.exception
    assert "has the tag every-variant" in plain_words(app)
    assert json.loads(path.read_text(encoding="utf-8").split("\n")[int(number) - 1])["tags"] == [
        "every-variant"
    ]


def test_what_a_stage_wrote_is_kept_by_a_line_of_ones_own(
    compare: Callable[..., AppTest], root: Path
) -> None:
    made = root / "artifacts/demo/pivotal.jsonl"
    prompts = [replace(each, source="artifacts/demo/pivotal.jsonl:1") for each in demo.make_prompts()]
    write_prompts(own(root, "prompts.json"), prompts)
    made.write_text(json.dumps({"prompt": prompts[1].text, "situation": "s"}) + "\n", encoding="utf-8")
    whole = made.read_bytes()
    app = compare(**PAIR)
    assert "a stage writes it" in plain_words(app)
    ask(app, "base and narrow@1.0")
    app.button(key="keep-base and narrow@1.0").click().run()
    assert not app.exception
    assert "prompts/kept.jsonl:1 has the tag every-variant" in plain_words(app)
    (row,) = map(json.loads, (root / "prompts/kept.jsonl").read_text(encoding="utf-8").splitlines())
    assert row == {"prompt": prompts[1].text, "tags": ["every-variant"]}
    assert made.read_bytes() == whole
