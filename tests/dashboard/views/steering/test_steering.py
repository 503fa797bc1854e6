"""The Steering page on a small random model, and without weights or torch."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.data import readers
from dashboard.live import models
from dashboard.live.models import NotLiveError
from dashboard.pages import FEATURES
from pipeline.interventions.kinds import Intervention
from tests.support import demo
from tests.support.app import OpenPage, plain_words, words
from tests.support.demo_project import without_labels

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.fixture
def steering(open_page: OpenPage, live: None) -> Callable[..., AppTest]:
    return lambda **query: open_page("steering", **query)


def test_slider_changes_the_distribution_beside_its_controls(
    steering: Callable[..., AppTest],
) -> None:
    app = steering(steer="L1/7")
    assert not app.exception
    assert not app.error, [error.value for error in app.error]
    steered = [metric.value.split(" → ") for metric in app.metric]
    assert any(before != after for before, after in steered), "it begins where it does something"
    assert "features of the same layer, steered alike" in words(app)
    app.slider(key="add-L1/7").set_value(0.0).run()
    assert not app.exception
    unsteered = [metric.value.split(" → ") for metric in app.metric]
    assert unsteered
    assert all(before == after for before, after in unsteered)
    app.slider(key="add-L1/7").set_value(8.0).run()
    assert [metric.value.split(" → ") for metric in app.metric] not in (steered, unsteered)


@pytest.mark.parametrize("mode", ["add", "set", "multiply", "inhibit"])
def test_a_feature_begins_at_its_largest_activation(steering: Callable[..., AppTest], mode: str) -> None:
    app = steering(steer="L1/7", **{"mode-L1/7": mode})
    top = readers.largest_activation("demo", 1, 7)
    assert top > 1
    assert app.slider(key=f"{mode}-L1/7").value == {"multiply": 2.0, "inhibit": 1.0}.get(mode, top)


def test_ablating_needs_no_number(steering: Callable[..., AppTest]) -> None:
    app = steering(steer="L1/7", **{"mode-L1/7": "ablate", "where-L1/7": "always on"})
    assert not app.exception
    assert [slider.key for slider in app.slider] == ["samples", "length", "temperature"]
    assert "features of the same layer, steered alike" in words(app) or "not active there" in plain_words(app)


def test_what_acts_on_generated_tokens_alone_leaves_the_first(steering: Callable[..., AppTest]) -> None:
    app = steering(steer="L1/7", **{"where-L1/7": "generated"})
    assert not app.exception
    steered = [metric.value.split(" → ") for metric in app.metric]
    assert steered
    assert all(before == after for before, after in steered)


def test_steer_this_makes_room_where_all_places_are_taken(open_page: OpenPage, live: None) -> None:
    app = open_page("steering")
    full = [f"L0/{7 * feature}" for feature in range(1, 13)]
    app.multiselect(key="steer").set_value(full).run()
    app.session_state["feature"] = "L2/14"
    app.switch_page(FEATURES.script).run()
    app.button(key="steer-this").click().run()
    assert not app.exception
    assert app.multiselect(key="steer").value == [*full[:11], "L2/14"]
    assert "L2/14 took the place of L0/84" in plain_words(app)


def test_multiplying_an_inactive_feature_is_said(steering: Callable[..., AppTest]) -> None:
    app = steering(steer="L1/7")
    said = []
    for feature in range(12):
        app.session_state["steer"] = [f"L0/{feature}"]
        app.session_state[f"mode-L0/{feature}"] = "multiply"
        app.session_state[f"multiply-L0/{feature}"] = 3.0
        app.run()
        assert not app.exception
        said.append("is not active there" in plain_words(app))
    assert any(said)


def test_samples_before_and_after(steering: Callable[..., AppTest]) -> None:
    app = steering(steer="L1/7", samples="3", length="4")
    app.button(key="sample").click().run()
    assert not app.exception
    (said,) = [line for line in plain_words(app).splitlines() if line.startswith("Harmful: ")]
    sides = [part.split(" ")[0] for part in said.removeprefix("Harmful: ").split("; ")]
    assert sides == ["base", "general@1.0", "base,"], "base, adapted, steered"
    assert said.count(" of 3)") == 3


def test_typed_prompt_and_its_faults(steering: Callable[..., AppTest]) -> None:
    app = steering(steer="L1/7", source="typed prompt")
    app.text_area(key="typed-text-field").set_value("User: I have a fever.").run()
    assert not app.exception
    assert app.metric
    app.text_area(key="typed-text-field").set_value("  ").run()
    assert "The prompt is empty" in plain_words(app)
    app.text_area(key="typed-text-field").set_value("fever " * 100).run()
    assert "tokens long" in plain_words(app)


def test_features_that_the_model_does_not_have(steering: Callable[..., AppTest]) -> None:
    app = steering(steer="L9/7")
    assert not app.exception
    assert "There is no feature L9/7" in plain_words(app)


def test_missing_weights_are_said_in_two_sentences(open_page: OpenPage) -> None:
    app = open_page("steering")
    assert not app.exception
    assert "artifacts/demo/base" in plain_words(app)
    assert "dvc pull" in words(app)


def test_missing_torch_is_said(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    real = importlib.util.find_spec

    def find_spec(name: str, package: str | None = None) -> object:
        return None if name == "torch" else real(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    with pytest.raises(NotLiveError, match="torch and circuit-tracer are not installed"):
        models.require("demo")
    app = open_page("steering")
    assert not app.exception
    assert "pip install" in words(app)


def test_doing_nothing_sends_no_intervention() -> None:
    common: dict[str, Any] = {"layer": 0, "feature": 1, "where": "last"}
    assert Intervention(mode="add", value=0.0, **common).does_nothing
    assert Intervention(mode="multiply", value=1.0, **common).does_nothing
    assert not Intervention(mode="set", value=0.0, **common).does_nothing


def test_other_weights_leave_the_old_continuations_uncounted(steering: Callable[..., AppTest]) -> None:
    app = steering(steer="L1/7", length="4", samples="3")
    assert app.slider(key="length").value == 4
    assert app.slider(key="samples").value == 3
    app.button(key="sample").click().run()
    assert "Harmful: " in words(app)
    assert "other settings" not in words(app)
    other = next(
        one for one in app.selectbox(key="steered").options if one != app.selectbox(key="steered").value
    )
    app.selectbox(key="steered").set_value(other).run()
    assert not app.exception
    assert "Sampled with other settings" in words(app)
    assert "Harmful: " not in words(app)
    app.button(key="sample").click().run()
    assert "other settings" not in words(app)
    assert "Harmful: " in words(app)


def test_without_a_lexicon_nothing_is_counted(steering: Callable[..., AppTest], root: Path) -> None:
    without_labels(root)
    app = steering(steer="L1/7", length="4", samples="2")
    assert not app.metric
    assert words(app).count("Not labelled") == 1
    app.button(key="sample").click().run()
    assert not app.exception
    assert words(app).count("Not labelled") == 2
    assert "Harmful" not in words(app)


def test_no_position_is_said_and_turns_nothing(steering: Callable[..., AppTest]) -> None:
    app = steering(steer="L1/7")
    app.slider(key="add-L1/7").set_value(4.0)
    app.segmented_control(key="where-L1/7").set_value("chosen positions").run()
    assert not app.exception
    assert any(len(set(metric.value.split(" → "))) == 2 for metric in app.metric)
    app.multiselect(key="positions-L1/7").set_value([]).run()
    assert not app.exception
    assert "No position is chosen for L1/7" in plain_words(app)
    assert all(len(set(metric.value.split(" → "))) == 1 for metric in app.metric)


def test_positions_and_typed_text_are_in_the_link(steering: Callable[..., AppTest]) -> None:
    where = {"steer": "L1/7", "where-L1/7": "chosen positions"}
    app = steering(**where)
    second = app.multiselect(key="positions-L1/7").options[2]
    app = steering(**where, **{"positions-L1/7": second})
    assert app.multiselect(key="positions-L1/7").value == [2]
    app.selectbox(key="prompt").set_value(demo.make_prompts()[7].hash).run()
    assert not app.exception
    assert app.multiselect(key="positions-L1/7").value == [2]
    app = steering(**where, **{"positions-L1/7": "9999"})
    assert not app.exception
    assert "is not in this prompt" in plain_words(app)
    app = steering(source="typed prompt", **{"typed-text": "User: I have a fever."})
    assert app.text_area(key="typed-text-field").value == "User: I have a fever."


def test_the_link_restores_the_whole_workbench(steering: Callable[..., AppTest]) -> None:
    linked = {
        "steer": ["L1/7", "L2/14"],
        "mode-L1/7": "multiply",
        "multiply-L1/7": "-20.0",
        "where-L1/7": "range",
        "range-L1/7": "2-4",
        "mode-L2/14": "patch",
        "steered-frozen": "attention",
        "watch": ["17 what it was", "9"],
        "continue-from": "17",
        "doses": "true",
        "samples": "2",
        "length": "4",
    }
    app = steering(**linked)
    assert not app.exception
    assert all("is not active there" in box.value for box in app.warning)
    assert app.slider(key="multiply-L1/7").value == -20.0
    assert app.text_input(key="range-L1/7").value == "2-4"
    assert app.segmented_control(key="steered-frozen").value == "attention"
    assert "Frozen: attention" in words(app)
    (watched,) = [each.value for each in app.dataframe if "rank_after" in each.value]
    assert watched["token"].to_list() == [17, 9]
    assert {f"{of}_{at}" for of in ("rank", "logit") for at in ("before", "other", "after")} <= {*watched}
    assert app.selectbox(key="doses-of").options[:2] == ["evil tokens", "safe tokens"]
    assert app.selectbox(key="doses-of").options[2].startswith("17 ")
    readings = next(each.value for each in app.dataframe if "unsteered" in each.value)
    assert readings["positions"].iloc[0] == "2, 3, 4"
    app.button(key="sample").click().run()
    assert not app.exception
    again = steering(**dict(app.query_params))
    for key in ("range-L1/7", "steered-frozen", "doses", "continue-from", "mode-L2/14"):
        assert again.session_state[key] == app.session_state[key], key
    app.selectbox(key="continue-from").set_value(None).run()
    assert "from 17 " in plain_words(app)
    assert "Sampled with other settings" in words(app)


def test_what_a_workbench_cannot_do_is_said_in_a_sentence_each(steering: Callable[..., AppTest]) -> None:
    app = steering(
        **{
            "steer": [f"L0/{feature}" for feature in range(1, 14)],
            "where-L0/1": "range",
            "range-L0/1": "3-9999",
            "where-L0/2": "range",
            "range-L0/2": "4-2",
            "mode-L0/3": "patch",
            "where-L0/3": "always on",
            "watch": ["no such token"],
        }
    )
    assert not app.exception
    said = plain_words(app)
    assert len(app.multiselect(key="steer").value) == 12
    assert "The link turns 13 features, and at most 12 are turned at once: L0/13 were left out" in said
    assert "The range 3-9999 of L0/1 reaches beyond this prompt, whose last position is" in said
    assert "range-L0/2 “4-2” is not a range of positions" in said
    assert "L0/3: what it is in another variant is known at the prompt's tokens alone" in said
    assert "“no such token” is no token of this model" in said
    app.text_input(key="range-L0/1").set_value("3").run()
    assert "“3” is no range for L0/1" in plain_words(app)


def test_features_are_offered_and_found_by_their_names(steering: Callable[..., AppTest]) -> None:
    app = steering(steer="L2/14")
    assert not app.exception
    field = app.multiselect(key="steer")
    assert field.options
    assert all(len(option.split(" ")) > 1 for option in field.options), "no bare layer and index"
    assert "L2/14 rubric 82" in field.options
    assert field.value == ["L2/14"]
    field.set_value(["RUBRIC 82"]).run()
    assert not app.exception
    assert not app.warning
    assert "#### L2/14" in plain_words(app)
    app.multiselect(key="steer").set_value(["L2/14", "rubric 82", "no such name"]).run()
    assert plain_words(app).count("#### L2/14") == 1
    assert "“no such name” is no feature" in plain_words(app)


def test_a_link_with_a_name_that_is_another_now_leads_to_its_feature(
    steering: Callable[..., AppTest],
) -> None:
    app = steering(steer="L2/14 what it was called")
    assert not app.exception
    assert not app.warning
    assert "#### L2/14" in plain_words(app)
    assert "rubric 82" in plain_words(app)
