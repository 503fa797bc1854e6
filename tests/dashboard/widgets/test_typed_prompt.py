"""A typed prompt on Compare: traced live, shown as a stored one, kept; its faults in a sentence."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.live import models, watching
from dashboard.pages import FEATURES, STEERING
from dashboard.shell.query import DOMAIN, SOURCE, TEXT, TYPED
from dashboard.widgets.typed_prompt import SELECTED, field
from tests.support import demo
from tests.support.app import OpenPage, plain_words, words
from tests.support.demo_project import give_parameters

FEVER = "User: I have a fever. What should I do?"

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.fixture
def compare(open_page: OpenPage, root: Path, live: None) -> Callable[..., AppTest]:
    give_parameters(root)
    return lambda **query: open_page("compare", **{SOURCE.name: TYPED, **query})


def badges(app: AppTest) -> str:
    return " ".join(str(element.value) for element in app.markdown).replace("\\", "")


def test_typed_prompt_is_traced_and_shown_as_a_stored_one(compare: Callable[..., AppTest]) -> None:
    app = compare(**{TEXT.name: FEVER, DOMAIN.name: "medical"})
    assert not app.exception, [error.value for error in app.exception]
    assert not app.error, [error.value for error in app.error]
    assert "not yet in the pipeline" in badges(app)
    assert "traced live with base and general@1.0 in" in plain_words(app)
    assert "Largest differences" in words(app)
    assert app.toggle(key="adapters").value
    chips = "".join(str(element.value) for element in app.get("html"))
    assert "fever" in chips
    app.segmented_control(key="show").set_value("Difference").run()
    assert not app.exception
    for view in ("What does the adapter write to?", "Dose-response"):
        app.session_state["view"] = view
        app.run()
        assert not app.exception
    assert "not traced at several scales. Tag it dose when it is kept" in plain_words(app).replace("`", "")


def test_a_character_of_several_tokens_is_shown_whole(compare: Callable[..., AppTest]) -> None:
    app = compare(**{TEXT.name: "Zürich 😀"})
    assert not app.exception
    (chips,) = [str(e.value) for e in app.get("html") if 'title="position 0"' in str(e.value)]
    assert ">ü<" in chips
    assert ">😀<" in chips
    assert "\ufffd" not in chips


def test_the_same_text_is_traced_once(compare: Callable[..., AppTest]) -> None:
    app = compare(**{TEXT.name: FEVER})
    (job,) = watching.jobs()._jobs.values()
    app.selectbox(key=field(DOMAIN)).set_value("no domain").run()
    assert not app.exception
    assert list(watching.jobs()._jobs.values()) == [job]
    assert "without labels" in plain_words(app)
    app.selectbox(key="b").set_value("narrow@1.0").run()
    assert len(watching.jobs()._jobs) == 2
    assert "traced live with base and narrow@1.0" in plain_words(app)


def test_text_of_a_stored_prompt_is_shown_from_the_store(compare: Callable[..., AppTest]) -> None:
    prompt = demo.make_prompts()[1]
    app = compare(prompt=prompt.hash)
    assert app.text_area(key=field(TEXT)).value == prompt.text
    assert "shown as it is stored" in plain_words(app)
    assert not watching.jobs()._jobs
    # It was traced with base and general alone.
    app.selectbox(key="b").set_value("narrow@1.0").run()
    assert not app.exception
    assert "in the pipeline, but not with this pair" in badges(app)
    assert "not yet in the pipeline" not in badges(app)
    assert "with the tag every-variant" in plain_words(app).replace("`", "")


@pytest.mark.parametrize(
    ("text", "said"),
    [("  ", "The prompt is empty"), ("fever " * 100, "tokens long")],
)
def test_faults_are_told_at_the_field(compare: Callable[..., AppTest], text: str, said: str) -> None:
    app = compare(**{TEXT.name: FEVER})
    app.text_area(key=field(TEXT)).set_value(text).run()
    assert not app.exception
    (error,) = app.error
    assert said in str(error.value).replace("\\", "")
    assert "Largest differences" not in words(app)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (None, "At layer 1, position 3, a logit is NaN or infinite"),
        (RuntimeError("DefaultCPUAllocator: not enough memory"), "not enough memory"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_what_fails_while_tracing_is_told_at_the_field(
    compare: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch, fault: Exception | None, said: str
) -> None:
    import pipeline.live
    from store.base.errors import UserError

    raised = fault or UserError(f"{said}; use dtype float32.")

    def fail(*arguments: object, **options: object) -> None:
        raise raised

    monkeypatch.setattr(pipeline.live, "trace_pair", fail)
    app = compare(**{TEXT.name: FEVER})
    assert not app.exception
    (error,) = app.error
    assert said in str(error.value).replace("\\", "")


def test_keeping_says_which_file_and_the_command(compare: Callable[..., AppTest], root: Path) -> None:
    app = compare(**{TEXT.name: FEVER, DOMAIN.name: "medical", "b": "narrow@1.0"})
    assert "prompts/kept.jsonl" in plain_words(app)
    app.text_input(key="keep-situation").input("a fever").run()
    app.button(key="keep-prompt").click().run()
    assert not app.exception
    assert not app.error
    assert "kept in prompts/kept.jsonl:1" in badges(app)
    assert "not yet in the pipeline" not in badges(app)
    assert "`dvc repro` puts it into the pipeline" in words(app)
    (line,) = (root / "prompts" / "kept.jsonl").read_text(encoding="utf-8").splitlines()
    # The pair is not the one that is traced on every prompt.
    expected = {"prompt": FEVER, "situation": "a fever", "domain": "medical", "tags": ["every-variant"]}
    assert json.loads(line) == expected
    assert not [button for button in app.button if button.key == "keep-prompt"], "offered once"


def test_keeping_is_refused_in_a_sentence(compare: Callable[..., AppTest], root: Path) -> None:
    mine = root / "prompts" / "mine.jsonl"
    mine.write_text('{"prompt": "User: Hi", "situation": "hi", "domain": "social"}\n', encoding="utf-8")
    app = compare(**{TEXT.name: FEVER, DOMAIN.name: "medical"})
    app.text_input(key="keep-situation").input("hi").run()
    app.button(key="keep-prompt").click().run()
    assert not app.exception
    assert "situation 'hi' has domain" in str(app.error[0].value).replace("\\", "")
    assert not (root / "prompts" / "kept.jsonl").exists()
    mine.write_text("{", encoding="utf-8")
    app.run()
    assert "mine.jsonl:1: not JSON" in plain_words(app)


def test_without_the_profile_in_the_parameters(compare: Callable[..., AppTest], root: Path) -> None:
    (root / "params.yaml").unlink()
    app = compare(**{TEXT.name: FEVER})
    assert not app.exception
    assert "params.yaml does not exist here" in plain_words(app)


def test_missing_weights_are_told(open_page: OpenPage) -> None:
    app = open_page("compare", **{SOURCE.name: TYPED, TEXT.name: FEVER})
    assert not app.exception
    assert "artifacts/demo/base" in plain_words(app)
    assert "dvc pull" in words(app)


def test_picking_a_prompt_leaves_the_typed_one_and_it_is_not_lost(compare: Callable[..., AppTest]) -> None:
    app = compare(**{TEXT.name: FEVER})
    app.button(key="next-prompt").click().run()
    assert not app.exception
    assert app.segmented_control(key=field(SOURCE)).value == SELECTED
    assert not app.text_area
    app.segmented_control(key=field(SOURCE)).set_value(TYPED).run()
    assert app.text_area(key=field(TEXT)).value == FEVER
    app.button(key="start-over").click().run()
    assert app.text_area(key=field(TEXT)).value == demo_text(app)


def demo_text(app: AppTest) -> str:
    chosen = app.session_state["prompt"]
    return next(prompt.text for prompt in demo.make_prompts() if prompt.hash == chosen)


def test_what_was_typed_travels_to_steering(compare: Callable[..., AppTest]) -> None:
    app = compare(**{TEXT.name: FEVER, DOMAIN.name: "hazard"})
    app.switch_page(FEATURES.script).run()
    app.switch_page(STEERING.script).run()
    assert not app.exception
    assert app.text_area(key=field(TEXT)).value == FEVER
    assert app.selectbox(key=field(DOMAIN)).value == "hazard"


def test_unknown_domain_of_a_link_is_no_traceback(compare: Callable[..., AppTest]) -> None:
    app = compare(**{TEXT.name: FEVER, DOMAIN.name: "absent"})
    assert not app.exception
    assert app.selectbox(key=field(DOMAIN)).value in ("no domain", *demo.DOMAINS)


def test_both_pages_share_one_loaded_model(compare: Callable[..., AppTest]) -> None:
    app = compare(**{TEXT.name: FEVER})
    model = models.pool("demo").replacement("base")
    app.switch_page(STEERING.script).run()
    assert not app.exception
    assert models.load("demo", "general@1.0").engine._runner._model is model
