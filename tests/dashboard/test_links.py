"""Links are untrusted: what is wrong in one is said, and none brings a page down."""

import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import pytest

from dashboard.pages import PAGES
from dashboard.shell import query, url
from tests.support import demo
from tests.support.app import OpenPage, plain_words
from tests.support.demo import behaviours, misalignment

N_LINKS: Final = 200
SEED: Final = 5

PROMPT, OTHER = (prompt.hash for prompt in demo.make_prompts()[:2])
ANSWERED: Final = misalignment.questions()[0].hash
PLAUSIBLE: Final[dict[str, tuple[str, ...]]] = {
    "profile": ("demo",),
    "a": ("base", "general@1.0", "narrow@1.0", "general@0.5"),
    "b": ("base", "general@1.0", "narrow@1.0", "general@-3e2"),
    "prompt": (PROMPT, OTHER, "0123456789ab"),
    "feature": ("L0/7", "L3/0", "l2/14", "L999/9999999"),
    "pins": ("F0.7.3", "E0.2,T1.1,O3.17", "A0.down.0.7,A0.hidden.2", ","),
    "source": (query.TYPED,),
    "typed-text": ("User: I have a fever.", "Zürich 😀", "a\n\tb"),
    "typed-domain": (*demo.DOMAINS, "no domain"),
    "view": ("Graph", "What does the adapter write to?", "LoRA components", "Dose-response"),
    "show": ("Both", "Difference"),
    "score": ("direct", "total effect", "activation"),
    "contrast": ("evil minus safe within base", "general@1.0 minus base"),
    "domain": ("all", *demo.DOMAINS),
    "layer": ("all", "L0", "L9"),
    "order": ("toward safety", "more than base", "smallest q"),
    "card": ("Edges", "Tokens"),
    "contexts": demo.VARIANTS,
    "experiment": ("ablation", "dose response", "transfer"),
    "tried-in": demo.VARIANTS,
    "frozen": ("nothing", "everything"),
    "tried-layer": ("all", "L0", "L9"),
    "tried-domain": ("all", *demo.DOMAINS),
    "predicted-by": ("direct", "change"),
    "steered": demo.VARIANTS,
    "steer": ("L0/7", "L9/9", "7/7"),
    "mode": ("set", "add", "multiply", "patch"),
    "where": ("last token", "range", "chosen positions", "always on"),
    "range": ("2-4", "4-2", "0-99999"),
    "steered-frozen": ("attention", "everything"),
    "watch": ("17", "9 ·a", "no token"),
    "continue-from": ("17", "99999 x", "no token"),
    "doses-of": ("safe tokens", "17 x"),
    "positions": ("3 :", "999", "-1"),
    "chosen": ("drawn for me", "by hand"),
    "labelled": ("all", "to do", "not as a judge says"),
    "outcome": ("harmful", "neither"),
    "situation": ("hazard: odd gas",),
    "answer": (f"{ANSWERED},general@1.0,3", f"{ANSWERED},base,999", "0123456789ab,base,0"),
    "behaviour-prompt": (behaviours.behaviour_prompts("recall")[0].hash, "0123456789ab"),
    "behaviour": ("recall", "no behaviour"),
    "split": ("train", "test"),
    "behaviours-of": demo.VARIANTS,
    "that": ("succeed", "do not"),
    "find-behaviour": ("fever", "nothing has this"),
    "behaviour-view": ("Interventions", "Answers"),
    "behaviour-experiment": ("ablation", "patching"),
    "behaviour-layer": ("all", "L0", "L9"),
    "behaviour-supernode": ("all", "1", "99"),
    "circuit-is": ("necessary", "removed"),
    "evaluated": ("Open questions", "Pivotal prompts"),
    "open": ("Thresholds and judges", "Features of answers", "Before and after"),
    "judge": misalignment.JUDGES,
    "share-of": ("scored", "coherent"),
    "answers-of": demo.VARIANTS,
    "asked": misalignment.QUESTIONS,
    "form": ("all", *misalignment.FORMS),
    "kind": ("misaligned", "no score: refusal"),
    "find-answer": ("fever", "nothing has this"),
    "read-by": ("own", "base"),
    "surface-of": demo.VARIANTS,
    "between": ("general@1.0, read by base, scored by gpt",),
    "statistic": ("mean", "max"),
    "before-judge": misalignment.JUDGES,
    "artifact": ("features", "rates"),
}
"""Values that a link may have, by parameter; numbers and switches are in `HOSTILE`."""

HOSTILE: Final = (
    *("", " ", "0", "-1", "0.5", "1e309", "nan", "-Infinity", "999999999999999999999", "٣", "0x10"),
    *("true", "false", "None", "null", "[]", "{}", "__class__", "0,1", "L2/", "F1.2.3,../.."),
    *("../../etc/passwd", "<script>alert(1)</script>", "'; DROP TABLE x; --", "{0}", "%s%n", "$(id)", "`id`"),
    *("\x00", "\r\nSet-Cookie: a=b", "\u202eevil", "e\u0301", "💥", "\ufffd", "a" * 5000, "*[_](x)~|:red[x]"),
)


pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.fixture
def returning(open_page: OpenPage, live: None, monkeypatch: pytest.MonkeyPatch) -> OpenPage:
    """An app in which every run is one of Back or Forward: the link alone says what is to be seen."""
    from streamlit.runtime.scriptrunner_utils.script_requests import RerunData
    from streamlit.testing.v1 import local_script_runner

    app = open_page("overview")
    monkeypatch.setattr(local_script_runner, "RerunData", partial(RerunData, is_history_navigation=True))

    def returned(page: str, **asked: Any) -> Any:
        app.switch_page(next(each.script for each in PAGES if each.name == page))
        app.query_params.clear()
        app.query_params.update(asked)
        return app.run()

    return returned


@contextmanager
def silent(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Streamlit warns of nothing, and no section of a page was given up."""
    caplog.clear()
    yield
    said = [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING and record.name.startswith(("streamlit", "dashboard"))
        # Of caches outside a page: a test has no server.
        if "No runtime found" not in record.getMessage() and "ScriptRunContext" not in record.getMessage()
    ]
    assert not said


@pytest.fixture(autouse=True)
def _warns_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from streamlit.elements.lib import policies

    monkeypatch.setattr(policies, "_shown_default_value_warning", False)  # it is said once a process


def links(rng: random.Random) -> Iterator[tuple[str, dict[str, Any]]]:
    """A page and parameters: of those that there are some, each with plausible and hostile values."""
    while True:
        page = rng.choice(PAGES)
        own = [each for each in query.PARAMETERS if each.page in (None, page)]
        asked: dict[str, Any] = {}
        for parameter in rng.sample(own, rng.randint(0, min(6, len(own)))):
            key = parameter.key(rng.choice(("L0/7", "L3/999", "x"))) if parameter.each else parameter.name
            known = PLAUSIBLE.get(parameter.name, ())
            values = [
                rng.choice(known) if known and rng.random() < 0.5 else rng.choice(HOSTILE)
                for _ in range(rng.choice((1, 1, 1, 2, 9)))
            ]
            asked[key] = values if len(values) > 1 else values[0]
        if rng.random() < 0.2:
            asked[rng.choice(("embed", "__proto__", url.AT, "a b", "é"))] = rng.choice(HOSTILE)
        yield page.name, asked


def test_no_link_brings_a_page_down(returning: OpenPage, caplog: pytest.LogCaptureFixture) -> None:
    rng = random.Random(SEED)
    for _, (page, asked) in zip(range(N_LINKS), links(rng), strict=False):
        with silent(caplog):
            app = returning(page, **asked)
        assert not app.exception, (page, asked, [one.value for one in app.exception])
        assert next(each.question for each in PAGES if each.name == page) in plain_words(app), (page, asked)


def test_no_page_makes_streamlit_warn(
    open_page: OpenPage, live: None, caplog: pytest.LogCaptureFixture
) -> None:
    with silent(caplog):
        app = open_page("overview")
        for page in PAGES[1:]:
            assert not app.switch_page(page.script).run().exception
        app.switch_page("views/features/page.py").run()
        for score in ("activation", "direct", "activation", "influence"):
            app.segmented_control(key="score").set_value(score).run()
        app.selectbox(key="b").set_value("narrow@1.0").run()
        app.selectbox(key="b").set_value("general@1.0").run()


def test_a_session_leads_and_only_back_and_forward_follow_the_link(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_page("evaluation", prompt=PROMPT, pins="E0.2", feature="L0/7")
    app.selectbox(key="prompt").set_value(OTHER)
    app.query_params["prompt"] = PROMPT  # as the browser still has it
    app.run()
    assert app.session_state["prompt"] == OTHER
    assert app.query_params["prompt"] == OTHER
    monkeypatch.setattr("dashboard.shell.history.restores", lambda: True)
    app.query_params.clear()
    app.query_params.update({"prompt": PROMPT, "feature": "L2/14"})
    app.run()
    assert app.session_state["prompt"] == PROMPT
    assert app.session_state["feature"] == "L2/14"
    assert not app.session_state["pins"] if "pins" in app.session_state else True


def test_every_address_names_its_page_and_no_copied_link_does(open_page: OpenPage) -> None:
    app = open_page("evaluation", prompt=PROMPT)
    assert app.query_params[url.AT] == "evaluation"
    (copied,) = [code.value for code in app.code if "prompt=" in code.value]
    assert PROMPT in copied
    assert "evaluation" not in copied.split("?")[1]
