"""The ranking by every score: table, card and links follow the choice."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from streamlit.testing.v1 import AppTest

from dashboard.data.tables import ranking_frame
from dashboard.shell import downloads
from dashboard.style.score_names import describe, guide
from dashboard.views.features.dictionary import dictionary_frame
from store.datasets.groups import open_dataset
from store.schema.rankings import ranking_group
from store.schema.vocabulary import SCORES
from tests.support.app import OpenPage

BASE, AGAINST = "evil-safe|base", "general@1.0-base"


def metric(app: AppTest, start: str) -> Any:
    (found,) = [m for m in app.metric if m.label.startswith(start)]
    return found


def captions(app: AppTest) -> str:
    return " ".join(str(caption.value) for caption in app.caption)


@pytest.mark.parametrize("score", SCORES)
def test_table_card_and_downloads_follow_the_score(
    open_page: OpenPage, demo_root: Path, score: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[tuple[Any, str]] = []
    monkeypatch.setattr(downloads, "downloads", lambda frame, name, *, key: taken.append((frame, name)))
    app = open_page("features", score=describe(score).label, b="general@1.0")
    assert not app.exception
    assert not app.error
    words = describe(score)
    contrast = str(app.selectbox(key="contrast").value)
    assert contrast == (AGAINST if score in ("change", "activation") else "evil-safe|general@1.0")
    table = open_dataset(demo_root / "artifacts/demo/features", ranking_group(score))
    expected = ranking_frame(table, contrast, "all")
    shown = app.dataframe[0].value
    assert shown["effect"].tolist() == expected["effect"].tolist()[: len(shown)]
    features = [
        f"L{layer}/{index}" for layer, index in zip(expected["layer"], expected["index"], strict=True)
    ]
    assert [name.split()[0] for name in shown["called"]] == features[: len(shown)]
    assert words.meaning.split(",")[0] in captions(app).replace("\\", "")
    assert metric(app, "Effect").label == words.headed("Effect")
    assert f"{words.label}: interval" in captions(app)
    assert words.counted in captions(app)
    whole, name = next((frame, name) for frame, name in taken if name.startswith("ranking"))
    assert name == f"ranking-{score}"
    frame = whole()  # made at a click
    assert set(frame["score"]) == {score}
    assert frame["feature"].tolist() == features


def test_direct_is_shown_first(open_page: OpenPage) -> None:
    app = open_page("features")
    assert app.segmented_control(key="score").value == "direct"


def test_a_score_without_the_contrast_shows_one_that_it_has_and_the_choice_returns(
    open_page: OpenPage,
) -> None:
    app = open_page("features", b="general@1.0")
    app.selectbox(key="contrast").set_value(BASE).run()
    app.segmented_control(key="score").set_value("influence").run()
    assert app.selectbox(key="contrast").value == BASE
    app.segmented_control(key="score").set_value("activation").run()
    assert not app.exception
    assert app.selectbox(key="contrast").value == AGAINST
    app.segmented_control(key="score").set_value("total_effect").run()
    assert app.selectbox(key="contrast").value == BASE
    app.segmented_control(key="score").set_value("activation").run()
    app.segmented_control(key="score").set_value("direct").run()
    assert app.selectbox(key="contrast").value == BASE


@pytest.mark.parametrize("query", [{"score": "<b>"}, {"score": "activation", "contrast": BASE}])
def test_a_link_that_cannot_be_is_not_an_error(open_page: OpenPage, query: dict[str, str]) -> None:
    app = open_page("features", **query)
    assert not app.exception
    assert not app.error
    assert app.metric


def test_every_score_is_explained() -> None:
    assert len(guide().splitlines()) == len(SCORES)
    for score in SCORES:
        assert describe(score).meaning.endswith(".")


def test_activations_are_ordered_against_base_and_not_toward_harm(open_page: OpenPage) -> None:
    app = open_page("features", b="general@1.0", score="activation")
    order = app.selectbox(key="order")
    assert order.options[:2] == ["more than base", "less than base"]
    order.set_value("less than base").run()
    shown = app.dataframe[0].value["effect"]
    assert shown.is_monotonic_increasing
    app.segmented_control(key="score").set_value("direct").run()
    assert not app.exception
    assert app.selectbox(key="order").options[:2] == ["toward harm", "toward safety"]
    assert app.selectbox(key="order").value == "toward safety"
    assert app.query_params["order"] == "toward safety"
    app.segmented_control(key="score").set_value("influence").run()
    assert app.selectbox(key="order").value == "toward safety"


def test_the_dictionary_lists_base_first_with_intervals() -> None:
    mean = ("variant", np.array([0.8, 0.9]))
    table = xr.Dataset(
        {
            **{
                f"{name}{end}": mean
                for name in ("replacement", "completeness", "error_share")
                for end in ("", "_low", "_high")
            },
            "change_error_share": ("variant", np.array([0.25, np.nan])),
            "n_situations": ("variant", np.array([3, 4])),
        },
        coords={"variant": ["adapted@1.0", "base"]},
    )
    frame = dictionary_frame(table)
    assert frame["variant"].tolist() == ["base", "adapted@1.0"]
    assert frame["replacement"].tolist() == [0.9, 0.8]
    assert frame["replacement_interval"].tolist() == ["[0.900, 0.900]", "[0.800, 0.800]"]
    assert np.isnan(frame["change_error_share"][0])
    assert frame["change_error_share"][1] == 0.25
