"""Features have names where they stand: found by them, given by people, kept in the journal."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dashboard.data import names
from pipeline.labels.events import FeatureEvent
from pipeline.labels.journal import read_events
from tests.support import demo
from tests.support.demo_project import own

if TYPE_CHECKING:
    from streamlit.testing.v1 import AppTest

FEATURE = (2, 7)


@pytest.fixture
def features(open_page: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv("EMC_AUTHOR", "Ada")
    return open_page("features", feature="L2/7")


def table(app: AppTest) -> dict[str, str]:
    frame = app.dataframe[0].value
    return dict(zip(frame["feature"], frame["called"], strict=True))


def test_without_a_persons_name_what_is_promoted_stands_there(features: AppTest) -> None:
    assert not features.exception
    of = names.of_features("demo")
    assert of[FEATURE].startswith("→ ")
    assert table(features)["L2/7"] == f"L2/7 {of[FEATURE]}"
    promoted = {word.strip() for word in demo.WORDS}
    assert set(of[FEATURE].removeprefix("→ ").split(", ")) <= promoted


def test_a_person_names_a_feature_and_finds_it_by_that(features: AppTest, root: Path) -> None:
    features.text_input(key="name-2-7").set_value("quick money").run()
    assert not features.exception
    (event,) = read_events(root / "inputs/labels")
    assert isinstance(event, FeatureEvent)
    assert (event.author, event.layer, event.feature, event.name) == ("Ada", *FEATURE, "quick money")
    assert table(features)["L2/7"] == "L2/7 quick money"
    features.text_input(key="find").set_value("L0/7").run()
    features.text_input(key="find").set_value("QUICK").run()
    assert features.query_params["feature"] in ("L2/7", ["L2/7"])
    features.text_input(key="name-2-7").set_value("").run()
    assert table(features)["L2/7"].startswith("L2/7 → ")


def test_a_name_that_nobody_gave_is_said(features: AppTest) -> None:
    features.text_input(key="find").set_value("no such name").run()
    assert any("no such name" in warning.value for warning in features.warning)


def test_who_names_must_be_known(features: AppTest, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EMC_AUTHOR")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 1, ""))
    features.text_input(key="name-2-7").set_value("quick money").run()
    assert any("Who labels" in error.value for error in features.error)
    assert not read_events(root / "inputs/labels")


def test_a_malformed_journal_takes_no_page_down(open_page: Callable[..., AppTest], root: Path) -> None:
    (root / "inputs/labels").mkdir(parents=True)
    (root / "inputs/labels/ada.jsonl").write_text("{}\n[]\n")
    app = open_page("features", feature="L2/7")
    assert not app.exception
    assert table(app)["L2/7"].startswith("L2/7 → ")


def scores(app: AppTest) -> list[str]:
    return [each.value.replace("\\", "") for each in app.caption if "Named by" in each.value]


def test_a_judges_name_that_holds_stands_everywhere_with_its_score(
    open_page: Callable[..., AppTest], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMC_AUTHOR", "Ada")
    app = open_page("features", feature="L2/14")
    assert not app.exception
    assert names.of_features("demo")[2, 14] == "rubric 82"
    assert table(app)["L2/14"] == "L2/14 rubric 82"
    (said,) = scores(app)
    assert said == (
        "Named by rubric: tells 90% of 10 held-out contexts right, 95% interval [0.555, 0.997]; another "
        "feature's name 50%"
    )
    (shown,) = [each for each in app.caption if "Named by" in each.value]
    assert "had not seen" in shown.help
    # Of two judges the one whose name tells more, and it is found by that.
    app.text_input(key="find").set_value("reader 1").run()
    assert "reader" in names.of_features("demo")[0, 7]
    # A person's goes before it, and has no such score.
    app = open_page("features", feature="L2/14")
    app.text_input(key="name-2-14").set_value("quick money").run()
    assert table(app)["L2/14"] == "L2/14 quick money"
    assert not scores(app)


def test_without_the_stage_or_where_it_is_damaged_what_is_promoted_stands_there(
    open_page: Callable[..., AppTest], root: Path
) -> None:
    (own(root, "names") / "zarr.json").write_text("{}")
    app = open_page("features", feature="L2/14")
    assert not app.exception
    assert table(app)["L2/14"].startswith("L2/14 → ")
    assert not scores(app)
    shutil.rmtree(root / "artifacts/demo/names")
    app = open_page("features", feature="L2/14")
    assert not app.exception
    assert table(app)["L2/14"].startswith("L2/14 → ")
