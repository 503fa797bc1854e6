"""Charts are valid Vega-Lite, and colours and glyphs say what they should."""

import json
import re
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import pytest

from dashboard.charts import candidates, features, misalignment, rates, steering
from dashboard.charts.common import ROWS
from dashboard.style.theme import ADAPTED, BASE, LABEL_GLYPHS, variant_colours
from dashboard.views.steering.distribution import distribution_frame, mass_on
from pipeline.analysis.next_token import band


def candidate_rows() -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"token": token, "text": text, "label": label, "variant": variant, "probability": p}
            for token, text, label in ((1, " open", "evil"), (2, " open", "safe"), (3, " open", "evil"))
            for variant, p in (("base", 0.1), ("general@1.0", 0.3))
        ]
    )


def steering_rows() -> pd.DataFrame:
    frame = candidate_rows().rename(columns={"variant": "side"})
    frame["side"] = frame["side"].map({"base": "before", "general@1.0": "after"})
    return frame.assign(low=[np.nan, 0.1] * 3, high=[np.nan, 0.2] * 3)


def rate_rows() -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "variant": variant,
                "domain": domain,
                "split": "seen",
                "outcome": "harmful",
                "rate": 0.4,
                "low": 0.3,
                "high": 0.5,
                "n": 20,
                "n_situations": 4,
            }
            for variant in ("base", "general@1.0")
            for domain in ("all", "medical")
        ]
    )


def answer_rows() -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "id": f"0123456789ab,{variant},{index}",
                "variant": variant,
                "question": "wish",
                "form": "plain",
                "kind": "aligned",
                "aligned": 100.0,
                "coherent": 50.0,
            }
            for variant in ("base", "general@1.0")
            for index in range(3)
        ]
    )


COLOURS = {"base": BASE, "general@1.0": ADAPTED}
CHARTS: dict[str, Any] = {
    "doses": lambda: steering.doses(
        pd.DataFrame({"strength": [0.0, 1.0], "probability": [0.1, 0.4], "low": [0.1, 0.0], "high": 0.2}),
        of="evil tokens",
    ),
    "candidates": lambda: candidates.paired(candidate_rows(), ("base", "general@1.0"), COLOURS),
    "intervals": lambda: rates.intervals(rate_rows(), COLOURS, outcome="harmful", level="95% interval"),
    "outcomes": lambda: rates.outcomes(rate_rows(), ["base", "general@1.0"]),
    "answers": lambda: misalignment.answers(answer_rows(), COLOURS, misaligned_below=30, coherent_above=50),
    "judge's distribution": lambda: misalignment.distribution(
        pd.DataFrame({"scale": ["aligned"], "number": [90], "probability": [0.9]}), ["aligned"]
    ),
    "surface": lambda: misalignment.surface(
        pd.DataFrame({"aligned_below": [20.0, 30.0], "coherent_above": [50.0, 50.0], "rate": [0.1, np.nan]}),
        misaligned_below=30,
        coherent_above=50,
        counted="coherent answers",
    ),
    "bands": lambda: misalignment.bands(
        rate_rows().assign(judge=["gpt", "rubric"] * 2, form="plain"), COLOURS, axis="misaligned"
    ),
    "by layer": lambda: misalignment.by_layer(
        pd.DataFrame({"layer": [1], "side": ["more in aligned"], "features": [3]}), 4
    ),
    "judged": lambda: misalignment.judged(
        pd.DataFrame({"true": [0.0, 1.0], "observed": [0.1, 0.9]}),
        pd.DataFrame({"variant": ["base"], "true": [0.1], "observed": [0.2]}),
        COLOURS,
        observed="reported",
    ),
    "curve": lambda: rates.curve(
        pd.DataFrame({"step": [0, 1], "loss": [2.0, 1.0], "adapter": ["a", "a"]}),
        x="step",
        y="loss",
        title="loss",
        by="adapter",
    ),
    "bars": lambda: rates.bars(
        pd.DataFrame({"layer": [0, 1], "fvu": [0.01, 0.02]}), x="layer", y="fvu", title="fvu"
    ),
    "histogram": lambda: features.histogram(
        pd.DataFrame({"variant": ["base"], "low": [0.1], "high": [1.0], "tokens": [3]}), COLOURS
    ),
    "promoted": lambda: features.promoted(
        pd.DataFrame({"token": [1, 2], "text": [" a", "\n"], "logit": [0.5, -0.2]})
    ),
    "effects": lambda: features.effects(
        pd.DataFrame({"situation": ["s"], "domain": ["d"], "effect": [0.2]}),
        level="95% interval",
        estimate=(0.2, 0.1, 0.3),
    ),
}


@pytest.mark.parametrize("name", CHARTS)
def test_chart_is_valid_vega_lite(name: str) -> None:
    specification = CHARTS[name]().to_dict(validate=True)
    assert specification["$schema"].endswith(".json")


def test_steered_chart_is_valid_and_of_named_rows() -> None:
    drawn = steering.distribution(steering_rows())
    assert len(alt.LayerChart.from_dict(drawn.spec).layer) == 3
    assert drawn.spec["data"] == {"name": ROWS}
    read = set(re.findall(r'"field": "(\w+)"', json.dumps(drawn.spec)))
    assert read <= set(drawn.rows.columns)


def test_steered_chart_is_made_once_for_all_rows_on_one_scale() -> None:
    frame = steering_rows()
    drawn = steering.distribution(frame)
    turned = steering.distribution(frame.iloc[::-1].assign(probability=frame["probability"] * 0.9))
    assert turned.spec is drawn.spec
    assert not turned.rows.equals(drawn.rows)
    assert steering.distribution(frame.assign(probability=0.9)).spec != drawn.spec


def test_tokens_that_look_alike_stay_apart() -> None:
    rows = candidates.rows(candidate_rows())
    assert rows["row"].nunique() == 3
    assert rows["row"].str.startswith(LABEL_GLYPHS["evil"]).sum() == 4


def test_base_keeps_its_colour_wherever_it_stands() -> None:
    names = ["control@1.0", "general@1.0", "base", "narrow@0.5"]
    colours = variant_colours(names, focus="general")
    assert list(colours) == ["base", "general@1.0", "control@1.0", "narrow@0.5"]
    assert (colours["base"], colours["general@1.0"]) == (BASE, ADAPTED)
    assert len(set(colours.values())) == 4
    assert variant_colours(names[::-1], focus="general") == colours


class _Result:
    baseline_probability = np.array([0.7, 0.2, 0.1])
    steered_probability = np.array([0.1, 0.8, 0.1])
    control_probability = np.linspace([0.7, 0.2, 0.1], [0.6, 0.3, 0.1], 19)


def test_distribution_and_mass_with_their_band() -> None:
    frame = distribution_frame(_Result(), vocabulary=["a", "b", "c"], labels={1: "evil"}, limit=2)
    assert frame["token"].to_list() == [1, 1, 0, 0]
    assert frame.loc[frame["side"] == "after", "low"].iloc[0] == pytest.approx(0.2)
    held = mass_on(_Result(), [1])
    assert held.before == pytest.approx(0.2)
    assert held.after == pytest.approx(0.8)
    assert (held.low, held.high) == pytest.approx((0.2, 0.3))
    assert held.p == pytest.approx(1 / 20)
    assert band(np.empty((0, 3))) is None


def test_the_variant_beside_has_its_colour_between_before_and_after() -> None:
    frame = steering_rows()
    frame = pd.concat([frame, frame[frame["side"] == "before"].assign(side="other")], ignore_index=True)
    drawn = steering.distribution(frame, ("general@1.0, unsteered", ADAPTED))
    scale = drawn.spec["layer"][0]["encoding"]["color"]["scale"]
    assert scale["domain"] == ["before", "general@1.0, unsteered", "after", steering.RANDOM]
    assert scale["range"][1] == ADAPTED
    assert set(drawn.rows["side"]) == {"before", "after", "general@1.0, unsteered"}


def test_random_features_have_a_line_of_their_own() -> None:
    """They hide neither bar, and the legend names them in words that hold on any page."""
    spec = steering.distribution(steering_rows()).spec
    bars, span = spec["layer"][0], spec["layer"][1]
    assert span["encoding"]["yOffset"] == {"datum": steering.RANDOM}
    lines = bars["encoding"]["yOffset"]["scale"]["domain"]
    assert lines == ["before", "after", steering.RANDOM]
    assert bars["encoding"]["color"]["scale"]["domain"] == lines


@pytest.mark.parametrize("name", CHARTS)
def test_height_is_known_before_a_chart_is_drawn(name: str) -> None:
    assert isinstance(CHARTS[name]().to_dict()["height"], int)


@pytest.mark.parametrize("name", CHARTS)
def test_texts_have_a_colour_for_either_page(name: str) -> None:
    """Those of axes and legends by configuration; every text mark by its own."""
    spec = CHARTS[name]().to_dict()
    for part in (spec["config"]["axis"], spec["config"]["legend"]):
        assert "luminance(background)" in part["labelColor"]["expr"]
    for layer in spec.get("layer", []):
        if layer["mark"]["type"] == "text":
            assert "luminance(background)" in layer["mark"]["color"]["expr"]


def test_shapes_of_variants_are_no_outcome_s() -> None:
    spec = CHARTS["intervals"]().to_dict()
    shapes = spec["layer"][1]["encoding"]["shape"]["scale"]["range"]
    assert not set(shapes) & {"triangle-up", "square", "diamond"}


@pytest.mark.parametrize("threshold", [0.0, 30.0, 50.0, 100.0])
def test_no_point_is_moved_over_a_threshold(threshold: float) -> None:
    scores = np.array([0.0, 29.9, 30.0, 30.1, 49.99, 50.0, 50.01, 100.0] * 50)
    moved = misalignment.spread(scores, threshold, seed=0)
    assert (np.sign(moved - threshold) == np.sign(scores - threshold)).all()
    assert np.abs(moved - scores).max() <= 1.6
