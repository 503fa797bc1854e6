"""What the adapter writes to and dose-response: frames against the arrays, charts, tabs, empty states."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dashboard.charts import adapters as adapter_charts
from dashboard.charts import dose as dose_charts
from dashboard.data import names
from dashboard.shell.forms import parse_feature
from dashboard.style.theme import CAUSE_COLOURS, LABEL_GLYPHS, PART_COLOURS
from dashboard.views.compare.dose_words import candidate_frame
from dashboard.views.compare.tabs import DOSE, GRAPH, WRITES
from dashboard.views.compare.write_words import cause_frame, feature_frame
from pipeline.analysis.adapter_writes import cause_changes, layer_writes, logit_writes
from pipeline.analysis.dose_prompt import Dose, feature_responses, response
from pipeline.analysis.node_scores import EVIL_SAFE
from store.schema.vocabulary import ADAPTER_PARTS, CAUSES
from store.views.adapter import AdapterView
from tests.support import demo
from tests.support.app import OpenPage, plain_words, words
from tests.support.demo.adapters import adapters_item
from tests.support.demo_graphs import PROMPT, WORDS, view
from tests.support.demo_project import without_labels
from tests.support.demo_writes import adapter_view, asked_of, prompt_doses

ADAPTED = "general@1.0"
AXIS = {"axis": "adapter scale", "one": "scale"}


@pytest.fixture(scope="module")
def written() -> AdapterView:
    return adapter_view()


@pytest.fixture(scope="module")
def doses() -> list[Dose]:
    return prompt_doses()


def test_causes_have_a_colour_each_in_the_stores_order() -> None:
    assert len(CAUSE_COLOURS) == len(CAUSES)
    for shown, cause in zip(CAUSE_COLOURS, CAUSES, strict=True):
        assert shown.replace(", ", "_").rstrip("s") == cause
    assert tuple(PART_COLOURS) == ADAPTER_PARTS


def test_causes_add_up_to_the_change(written: AdapterView) -> None:
    frame = cause_frame(written, WORDS)
    arrays = written.item.arrays
    tokens = arrays["target_token"].tolist()
    for token, rows in frame.groupby("token"):
        whole = float(arrays["target_centred_change"][tokens.index(token)])
        assert rows["change"].sum() == pytest.approx(whole, abs=1e-5)
        assert (rows["total"] == rows["total"].iloc[0]).all()
        for cause, change in zip(rows["cause"], rows["change"], strict=True):
            column = list(CAUSE_COLOURS).index(cause)
            assert change == pytest.approx(float(arrays["change"][tokens.index(token), column]))
    totals = frame.drop_duplicates("row")["total"].to_list()
    assert totals == sorted(totals, reverse=True)
    numbers = cause_changes(written, len(tokens))
    assert list(dict.fromkeys(numbers["cause"])) == list(CAUSES)
    few = cause_frame(written, WORDS, limit=3)
    most = np.sort(np.abs(arrays["target_centred_change"]))[-3:]
    np.testing.assert_allclose(np.sort(few.drop_duplicates("row")["total"].abs()), most)


def test_candidates_of_every_dose_most_probable_first(doses: list[Dose]) -> None:
    frame = candidate_frame(doses, WORDS, 3)
    most = {}
    for dose in doses:
        for token, p in zip(dose.arrays["target_token"], dose.arrays["target_probability"], strict=True):
            most[int(token)] = max(most.get(int(token), 0.0), float(p))
            shown = frame[(frame["token"] == token) & (frame["dose"] == dose.dose)]
            assert shown["probability"].to_list() in ([], [pytest.approx(float(p))])
    kept = sorted(most, key=lambda token: -most[token])[:3]
    labels = {token: WORDS.labels.get(token, "unlabelled") for token in kept}
    by_label = sorted(kept, key=lambda token: list(LABEL_GLYPHS).index(labels[token]))
    assert list(dict.fromkeys(frame["token"])) == by_label
    assert len(frame) == 3 * len(doses)
    assert dict(zip(frame["token"], frame["label"], strict=True)) == labels


def test_features_are_named(written: AdapterView) -> None:
    first, *others = feature_frame(written, WORDS).head(20).itertuples(index=False)
    for row in (first, *others):
        assert row.feature == f"L{row.layer}/{row.index}"
    words = replace(WORDS, names={(first.layer, first.index): "gambling"})
    shown = feature_frame(written, words)["feature"].tolist()
    assert shown[0] == f"L{first.layer}/{first.index} gambling"
    assert shown[1] == others[0].feature


def test_charts_are_valid_vega_lite(written: AdapterView, doses: list[Dose]) -> None:
    one = asked_of(written).first(1)
    logits = logit_writes(written, one)
    frame = feature_responses(doses, one)
    features = feature_frame(written, WORDS)
    for chart in (
        adapter_charts.causes(cause_frame(written, WORDS)),
        adapter_charts.layers(layer_writes(features)),
        adapter_charts.logits(logits.assign(effect=logits["direct"]), title="direct (logits)"),
        dose_charts.response(response(doses, WORDS.labels), **AXIS, onset=0.5),
        dose_charts.candidates(candidate_frame(doses, WORDS, 16), **AXIS),
        dose_charts.response(response(doses, {demo.ID[" open"]: "evil"}), **AXIS),
        dose_charts.feature(
            frame[frame["feature"] == frame["feature"].iloc[0]], "direct", title="direct", **AXIS
        ),
    ):
        assert chart.to_dict(validate=True)["$schema"].endswith(".json")


def test_candidates_that_look_alike_stay_apart() -> None:
    item = adapters_item(PROMPT, ADAPTED, view(ADAPTED).item)
    vocabulary = [" same" for _ in demo.WORDS]
    same = type(WORDS)(tokens=WORDS.tokens, vocabulary=vocabulary, labels={})
    frame = cause_frame(AdapterView(item), same)
    assert frame["row"].nunique() == len(item.arrays["target_token"])


@pytest.mark.parametrize("view_of", [WRITES, DOSE])
def test_tab_draws(open_page: OpenPage, view_of: str) -> None:
    app = open_page("compare", view=view_of, prompt=demo.make_prompts()[0].hash)
    assert not app.exception, [error.value for error in app.exception]
    assert not app.error, [error.value for error in app.error]
    assert not app.info
    said = {WRITES: "Each candidate's change, by cause", DOSE: "Probability of the next token"}[view_of]
    assert said in plain_words(app)
    assert not [slider for slider in app.slider if slider.key == "nodes"], "only the open tab is computed"


def test_figures_of_the_adapter_are_the_stores(open_page: OpenPage) -> None:
    from dashboard.data import readers
    from dashboard.style.text import number, percent

    prompt = demo.make_prompts()[0].hash
    app = open_page("compare", view=WRITES, prompt=prompt)
    found = readers.adapter("demo", prompt, ADAPTED)
    values = [metric.value for metric in app.metric]
    assert values[2] == percent(found.error_share_of_change)
    app.selectbox(key="written-on").select_index(1).run()
    assert not app.exception
    tokens = found.targets["token"].to_list()
    row = int(found.targets["centred_change"].abs().to_numpy().argmax())
    assert app.selectbox(key="written-on").value.endswith(demo.WORDS[tokens[row]].strip())
    assert app.metric[0].value == number(float(found.targets["centred_change"][row]), sign=True)
    assert app.metric[1].value == number(float(found.targets["pattern_change"][row]), sign=True)


def test_pin_from_the_writes_turns_to_the_graph(open_page: OpenPage) -> None:
    app = open_page("compare", view=WRITES, prompt=demo.make_prompts()[0].hash)
    name = app.button(key="write-pin").label.replace("\\", "").split()[1]
    app.button(key="write-pin").click().run()
    assert not app.exception
    assert app.session_state["view"] == GRAPH
    layer, index = name[1:].split("/")
    assert f"F{layer}.{index}." in app.session_state["pins"]
    assert app.slider(key="nodes")


def test_base_against_base_has_no_adapter(open_page: OpenPage) -> None:
    app = open_page("compare", a="base", b="base", view=WRITES)
    assert not app.exception
    assert "Base has no adapter" in plain_words(app)


@pytest.mark.parametrize(("view_of", "artifact"), [(WRITES, "adapters"), (DOSE, "dose")])
def test_missing_collection_names_the_command(
    open_page: OpenPage, root: Path, view_of: str, artifact: str
) -> None:
    (root / "artifacts" / "demo" / artifact).unlink()
    app = open_page("compare", view=view_of)
    assert not app.exception
    assert "Nothing here yet" in words(app)
    assert "`dvc repro` makes it" in words(app)


def test_prompt_without_doses_says_the_tag_and_offers_another(open_page: OpenPage) -> None:
    app = open_page("compare", view=DOSE, prompt=demo.make_prompts()[1].hash)
    assert not app.exception
    assert "Tag it `dose`" in words(app)
    app.button(key="show-dosed").click().run()
    assert not app.exception
    assert "Probability of the next token" in words(app)
    assert not app.info


def test_untraced_variant_has_no_writes_and_says_so(open_page: OpenPage) -> None:
    app = open_page("compare", view=WRITES, prompt=demo.make_prompts()[1].hash, b="narrow@1.0")
    assert not app.exception
    assert "holds no variant narrow@1.0" in plain_words(app)


def test_without_labels_dose_and_writes_still_say_what_they_can(open_page: OpenPage, root: Path) -> None:
    without_labels(root)
    prompt = demo.make_prompts()[0].hash
    app = open_page("compare", view=DOSE, prompt=prompt)
    assert not app.exception
    assert "Not labelled" in words(app)
    app = open_page("compare", view=WRITES, prompt=prompt)
    assert not app.exception
    assert EVIL_SAFE not in app.selectbox(key="written-on").options


def test_the_features_of_doses_are_offered_by_name(open_page: OpenPage) -> None:
    prompt = demo.make_prompts()[0].hash
    app = open_page("compare", view=DOSE, prompt=prompt)
    assert not app.exception
    field = app.selectbox(key=f"dose-feature-{prompt}")
    called = names.of_features("demo")
    shown = dict(option.split(" ", 1) if " " in option else (option, "") for option in field.options)
    assert any(shown.values())
    for bare, name in shown.items():
        feature = parse_feature(bare)
        assert feature is not None
        assert name == called.get(feature, "")
