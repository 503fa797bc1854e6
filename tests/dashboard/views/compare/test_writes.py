"""What the adapter writes to and dose-response: frames against the arrays, charts, tabs, empty states."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from dashboard.charts import adapters as adapter_charts
from dashboard.charts import dose as dose_charts
from dashboard.graph.node_scores import EVIL_SAFE, Contrasts, contrasts_on
from dashboard.style.theme import CAUSE_COLOURS, LABEL_GLYPHS, PART_COLOURS
from dashboard.views.compare.doses import (
    READ,
    Dose,
    candidate_responses,
    edge_responses,
    feature_responses,
    most_changed,
    response,
    scale_of,
)
from dashboard.views.compare.tabs import DOSE, GRAPH, WRITES
from dashboard.views.compare.writes import cause_frame, change_on, feature_frame, layer_frame, logit_frame
from store.schema.vocabulary import ADAPTER_PARTS, CAUSES, NODE_KINDS
from store.views.adapter import AdapterView
from tests.support import demo
from tests.support.app import OpenPage, plain_words, words
from tests.support.demo.adapters import adapters_item, dose_items
from tests.support.demo_graphs import PROBABILITIES, PROMPT, WORDS, view

ADAPTED = "general@1.0"
NODE = ("kind", "layer", "position", "feature")


@pytest.fixture(scope="module")
def written() -> AdapterView:
    return AdapterView(adapters_item(PROMPT, ADAPTED, view(ADAPTED).item))


@pytest.fixture(scope="module")
def doses() -> list[Dose]:
    items = dose_items(PROMPT, PROBABILITIES["base"], PROBABILITIES[ADAPTED])
    return [Dose(variant=item.variant, arrays={name: item.arrays[name] for name in READ}) for item in items]


def asked(written: AdapterView) -> Contrasts:
    arrays = written.item.arrays
    return contrasts_on(arrays["target_token"], np.abs(arrays["target_centred_change"]), WORDS)


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
    few = cause_frame(written, WORDS, limit=3)
    most = np.sort(np.abs(arrays["target_centred_change"]))[-3:]
    np.testing.assert_allclose(np.sort(few.drop_duplicates("row")["total"].abs()), most)


def test_change_and_the_share_of_patterns(written: AdapterView) -> None:
    arrays = written.item.arrays
    labels = [WORDS.labels.get(int(token)) for token in arrays["target_token"]]
    one = asked(written).first(1)
    assert one.names == [EVIL_SAFE]
    for value, name in zip(change_on(written, one), ("centred", "pattern"), strict=True):
        changes = arrays[f"target_{name}_change"]
        sides = [
            np.mean([c for c, of in zip(changes, labels, strict=True) if of == label])
            for label in ("evil", "safe")
        ]
        assert value == pytest.approx(sides[0] - sides[1], abs=1e-5)


@pytest.mark.parametrize("row", [0, 2])
def test_writes_on_logits_are_sums_over_nodes(written: AdapterView, row: int) -> None:
    every = asked(written)
    one = Contrasts(
        names=every.names[row : row + 1], tokens=every.tokens, weights=every.weights[row : row + 1]
    )
    arrays = written.item.arrays
    weights = one.on(arrays["target_token"])[0]
    frame = logit_frame(written, one)
    assert len(frame) == len(
        {*zip(arrays["source_part"].tolist(), arrays["source_layer"].tolist(), strict=True)}
    )
    for part, layer, direct, total in frame[["part", "layer", "direct", "total_effect"]].itertuples(
        index=False
    ):
        mine = (arrays["source_part"] == ADAPTER_PARTS.index(part)) & (arrays["source_layer"] == layer)
        assert direct == pytest.approx(float(weights @ arrays["source_direct"][:, mine].sum(1)), abs=1e-5)
        assert total == pytest.approx(
            float(weights @ arrays["source_total_effect"][:, mine].sum(1)), abs=1e-5
        )


def test_writes_on_features_are_sums_over_positions(written: AdapterView) -> None:
    arrays = written.item.arrays
    frame = feature_frame(written)
    sizes = frame["write"].abs().to_list()
    assert sizes == sorted(sizes, reverse=True)
    for row in frame.head(20).itertuples(index=False):
        mine = (arrays["write_layer"] == row.layer) & (arrays["write_feature"] == row.index)
        origin = (arrays["origin_part"] == ADAPTER_PARTS.index(row.part)) & (
            arrays["origin_layer"] == row.origin_layer
        )
        assert row.write == pytest.approx(float(arrays["write"][origin][:, mine].sum()), abs=1e-5)
        assert row.activation == pytest.approx(float(arrays["write_value"][mine].sum()), abs=1e-5)
        assert row.feature == f"L{row.layer}/{row.index}"
    by_layer = layer_frame(frame)
    assert by_layer["size"].sum() == pytest.approx(frame["write"].abs().sum())
    assert by_layer["n"].sum() == len(frame)
    first = by_layer.iloc[0]
    assert first["origin"] == "down L0"


def test_scales_are_read_from_names_and_ascend(doses: list[Dose]) -> None:
    assert scale_of("base") == 0
    assert scale_of("a-b@-1.5") == -1.5
    assert [dose.scale for dose in doses] == [0.0, *demo.SCALES]


def test_response_is_the_probability_of_the_labelled_targets(doses: list[Dose]) -> None:
    frame = response(doses, WORDS.labels)
    assert len(frame) == 2 * len(doses)
    for scale, label, probability, n in frame[["scale", "label", "probability", "n"]].itertuples(index=False):
        dose = next(dose for dose in doses if dose.scale == scale)
        mine = [
            float(p)
            for token, p in zip(dose.arrays["target_token"], dose.arrays["target_probability"], strict=True)
            if WORDS.labels.get(int(token)) == label
        ]
        assert (probability, n) == (pytest.approx(sum(mine)), len(mine))
    assert response(doses, {}).empty, "an unlabelled token is neither evil nor safe"


def test_feature_responses_are_zero_where_inactive(doses: list[Dose]) -> None:
    last = doses[-1].arrays
    one = contrasts_on(last["target_token"], last["target_probability"], WORDS).first(1)
    frame = feature_responses(doses, one)
    pairs = {tuple(pair) for pair in frame[["layer", "feature"]].to_numpy().tolist()}
    assert len(frame) == len(pairs) * len(doses)
    seen_zero = False
    for layer, feature in sorted(pairs)[:25]:
        rows = frame[(frame["layer"] == layer) & (frame["feature"] == feature)]
        assert rows["scale"].to_list() == [dose.scale for dose in doses]
        for dose, activation, direct in zip(doses, rows["activation"], rows["direct"], strict=True):
            arrays = dose.arrays
            mine = (arrays["active_layer"] == layer) & (arrays["active_feature"] == feature)
            weights = one.on(arrays["target_token"])[0]
            seen_zero |= not mine.any()
            assert activation == pytest.approx(float(arrays["active_value"][mine].sum()), abs=1e-5)
            assert direct == pytest.approx(float((weights @ arrays["direct"][:, mine]).sum()), abs=1e-5)
    assert seen_zero
    layer, feature = most_changed(frame, 5)[0]
    spread = frame.groupby(["layer", "feature"])["direct"].agg(np.ptp)
    assert spread[layer, feature] == spread.max()


def test_candidates_of_every_scale_most_probable_first(doses: list[Dose]) -> None:
    frame = candidate_responses(doses, WORDS, 3)
    most = {}
    for dose in doses:
        for token, p in zip(dose.arrays["target_token"], dose.arrays["target_probability"], strict=True):
            most[int(token)] = max(most.get(int(token), 0.0), float(p))
            shown = frame[(frame["token"] == token) & (frame["scale"] == dose.scale)]
            assert shown["probability"].to_list() in ([], [pytest.approx(float(p))])
    kept = sorted(most, key=lambda token: -most[token])[:3]
    labels = {token: WORDS.labels.get(token, "unlabelled") for token in kept}
    by_label = sorted(kept, key=lambda token: list(LABEL_GLYPHS).index(labels[token]))
    assert list(dict.fromkeys(frame["token"])) == by_label
    assert len(frame) == 3 * len(doses)
    assert dict(zip(frame["token"], frame["label"], strict=True)) == labels


def test_edges_by_scale_are_stored_ones_or_zero_or_unknown(doses: list[Dose]) -> None:
    last = doses[-1].arrays
    features = last["node_kind"] == NODE_KINDS.index("feature")
    seen: set[str] = set()
    for layer, feature in set(
        zip(last["node_layer"][features].tolist(), last["node_feature"][features].tolist(), strict=True)
    ):
        frame = edge_responses(doses, layer, feature)
        for dose in doses:
            stored = edges_of(dose, layer, feature)
            active = set(zip(*(dose.arrays[f"active_{name}"].tolist() for name in NODE[1:]), strict=True))
            for row in frame.to_dict("records"):
                source, target = (
                    tuple(row[f"{end}_{name}"] for name in NODE) for end in ("source", "target")
                )
                if (source, target) in stored:
                    seen.add("stored")
                    assert row[dose.scale] == stored.pop((source, target))
                elif any(kind == 0 and tuple(where) not in active for kind, *where in (source, target)):
                    seen.add("inactive")
                    assert row[dose.scale] == 0
                else:
                    seen.add("unknown")
                    assert np.isnan(row[dose.scale])
            assert not stored, "every stored edge is in the table"
        weights = frame[[dose.scale for dose in doses]].to_numpy()
        spread = np.nanmax(weights, axis=1) - np.nanmin(weights, axis=1)
        assert (np.diff(spread) <= 0).all()
    assert seen == {"stored", "inactive", "unknown"}
    assert edge_responses(doses, 0, 10**6).empty


def edges_of(dose: Dose, layer: int, feature: int) -> dict[tuple[tuple[int, ...], tuple[int, ...]], float]:
    """Edges that have a feature at an end, by both ends."""
    arrays = dose.arrays
    nodes = list(zip(*(arrays[f"node_{name}"].tolist() for name in NODE), strict=True))
    return {
        (nodes[source], nodes[target]): float(weight)
        for source, target, weight in zip(
            arrays["edge_source"], arrays["edge_target"], arrays["edge_weight"], strict=True
        )
        if (0, layer, feature) in {(kind, at, of) for kind, at, _, of in (nodes[source], nodes[target])}
    }


def test_charts_are_valid_vega_lite(written: AdapterView, doses: list[Dose]) -> None:
    one = asked(written).first(1)
    logits = logit_frame(written, one)
    frame = feature_responses(doses, one)
    features = feature_frame(written)
    for chart in (
        adapter_charts.causes(cause_frame(written, WORDS)),
        adapter_charts.layers(layer_frame(features)),
        adapter_charts.logits(logits.assign(effect=logits["direct"]), title="direct (logits)"),
        dose_charts.response(response(doses, WORDS.labels)),
        dose_charts.candidates(candidate_responses(doses, WORDS, 16)),
        dose_charts.response(response(doses, {demo.ID[" open"]: "evil"})),
        dose_charts.feature(frame[frame["feature"] == frame["feature"].iloc[0]], "direct", title="direct"),
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


def test_figures_of_the_adapter_are_the_stores(open_page: OpenPage, root: Path) -> None:
    from dashboard.data import adapter_readers
    from dashboard.style.text import number, percent

    prompt = demo.make_prompts()[0].hash
    app = open_page("compare", view=WRITES, prompt=prompt)
    found = adapter_readers.adapter("demo", prompt, ADAPTED)
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
    name = app.button(key="write-pin").label.split()[1]
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
    shutil.rmtree(root / "artifacts" / "demo" / artifact)
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
    (root / "artifacts" / "demo" / "lexicon.json").write_text('{"domains": {}}', encoding="utf-8")
    prompt = demo.make_prompts()[0].hash
    app = open_page("compare", view=DOSE, prompt=prompt)
    assert not app.exception
    assert "Not labelled" in words(app)
    app = open_page("compare", view=WRITES, prompt=prompt)
    assert not app.exception
    assert EVIL_SAFE not in app.selectbox(key="written-on").options
