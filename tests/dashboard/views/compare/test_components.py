"""The tab of LoRA components: heat maps, what is found and named, empty states."""

from pathlib import Path

import numpy as np
import pytest

from dashboard.charts import components as charts
from dashboard.style.text import plain
from dashboard.views.compare.tabs import COMPONENTS, GRAPH
from pipeline.analysis.component_effects import added_frame, gate_frame
from tests.support import demo
from tests.support.app import OpenPage, plain_words, words
from tests.support.demo.components import PLANTED, RANK, gates_item

PROMPT = demo.make_prompts()[0]
NAME = f"L{PLANTED[0]}/{PLANTED[1]}"


def test_gate_of_a_cell_is_that_of_the_component_that_reads_best() -> None:
    arrays = gates_item(PROMPT, "general@1.0").arrays
    frame = gate_frame(arrays, "o_proj")
    assert len(frame) == demo.LAYERS * len(PROMPT.token_ids)
    for row in frame.itertuples():
        of = np.flatnonzero((arrays["module"] == 0) & (arrays["layer"] == row.layer))
        assert len(of) == RANK
        cosine = arrays["gate_cosine"][of, row.position]
        best = np.abs(cosine).argmax()
        assert (row.component, row.gate) == (best, arrays["gate"][of[best], row.position])
        assert 0 <= row.p <= 1
    assert gate_frame(gates_item(PROMPT, "narrow@1.0").arrays, "o_proj").empty


@pytest.mark.parametrize("module", ["o_proj", "down_proj"])
def test_charts_are_valid_and_scaled_behind_the_first_token(module: str) -> None:
    arrays = gates_item(PROMPT, "general@1.0").arrays
    for frame, value in ((gate_frame(arrays, module), "gate"), (added_frame(arrays, module), "added")):
        frame = frame.assign(token=[PROMPT.tokens[position] for position in frame["position"]])
        chart = charts.tokens(frame, value=value, title=value, told={})
        spec = chart.to_dict(validate=True)
        top = spec["encoding"]["color"]["scale"]["domain"][-1]
        assert top == pytest.approx(frame.loc[frame["position"] > 0, value].abs().max())


def test_the_planted_row_is_first_and_found(open_page: OpenPage) -> None:
    app = open_page("compare", view=COMPONENTS, prompt=PROMPT.hash)
    assert not app.exception, [error.value for error in app.exception]
    assert not app.error
    assert "1 of " in words(app)
    assert app.button(key="component-card").label.startswith(f"Card of {plain(NAME)}")
    table = next(each.value for each in app.dataframe if "cosine" in each.value)
    assert bool(table["found"].iloc[0])
    assert table["cosine"].iloc[0] == pytest.approx(1.0)
    assert table["found"].sum() == 1
    app.segmented_control(key="component-side").set_value("is read by").run()
    assert not app.exception
    table = next(each.value for each in app.dataframe if "cosine" in each.value)
    assert set(table["side"]) == {"encoder"}
    assert table["effect"].notna().all()
    assert (table["token"] != "").all()
    for key, value in (("component-value", "what it adds"), ("component-module", "attention (o_proj)")):
        app.segmented_control(key=key).set_value(value).run()
        assert not app.exception


def test_pin_turns_to_the_graph(open_page: OpenPage) -> None:
    app = open_page("compare", view=COMPONENTS, prompt=PROMPT.hash)
    app.button(key="component-pin").click().run()
    assert not app.exception
    assert app.session_state["view"] == GRAPH


def test_a_module_that_is_not_there_is_not_offered(open_page: OpenPage) -> None:
    app = open_page("compare", view=COMPONENTS, prompt=PROMPT.hash, b="narrow@1.0")
    assert not app.exception
    assert app.segmented_control(key="component-module").options == ["MLP (down_proj)"]


def test_base_has_no_components(open_page: OpenPage) -> None:
    app = open_page("compare", a="base", b="base", view=COMPONENTS)
    assert not app.exception
    assert "Base has no adapter" in plain_words(app)


@pytest.mark.parametrize("artifact", ["gates", "components"])
def test_what_is_missing_names_the_command(open_page: OpenPage, root: Path, artifact: str) -> None:
    (root / "artifacts" / "demo" / artifact).unlink()
    app = open_page("compare", view=COMPONENTS, prompt=PROMPT.hash)
    assert not app.exception
    assert "`dvc repro` makes it" in words(app)
