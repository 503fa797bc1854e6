"""The page of behaviours: PASS and FAIL, filters in the link, and one prompt by all variants."""

import shutil
from pathlib import Path

from dashboard.views.behaviours.cards import doubt
from store.datasets.groups import open_dataset, write_dataset
from store.schema.behaviours import BEHAVIOURS
from tests.support.app import OpenPage, plain_words
from tests.support.demo.behaviours import FAILS, NAMES, PARAMS, behaviour_prompts
from tests.support.demo.circuits import TRACED
from tests.support.demo.words import PROVENANCE, VARIANTS
from tests.support.demo_project import own

CIRCUIT = {"behaviour-view": "Circuit"}


def metrics(app) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def table(app, column: str):
    return next(one.value for one in app.dataframe if column in one.value)


def test_cards_say_pass_and_fail(open_page: OpenPage) -> None:
    app = open_page("behaviours")
    assert not app.exception
    assert set(metrics(app)) == set(NAMES)
    assert all(value.startswith("✓ PASS") for value in metrics(app).values())
    app = open_page("behaviours", **{"behaviours-of": FAILS[0]})
    assert metrics(app)["agreement"].startswith("✓ PASS")
    assert metrics(app)["recall"].startswith("✗ FAIL")
    assert "a behaviour that fails says little" in plain_words(app)
    assert "more than 2.00 nats a token. To pass, 80% must." in app.metric[0].help
    summary = table(app, "sign_accuracy")
    assert len(summary) == len(VARIANTS) * len(NAMES)
    failing = summary[summary["passes"] == "✗ FAIL"]
    assert failing[["variant", "behaviour"]].values.tolist() == [list(FAILS)]


def test_where_the_interval_holds_the_bar_that_is_said() -> None:
    assert doubt(0.85, 0.99, 0.8) == doubt(0.1, 0.79, 0.8) == doubt(0.8, 0.99, 0.8) == ""
    assert doubt(0.65, 0.82, 0.8) == " 80% lie within: it may pass or fail."


def test_filters_are_obeyed_by_all_and_kept_in_the_link(open_page: OpenPage) -> None:
    query = {"behaviours-of": FAILS[0], "behaviour": FAILS[1], "split": "train", "that": "do not"}
    app = open_page("behaviours", **query)
    assert not app.exception
    assert list(metrics(app)) == ["recall"]
    assert set(table(app, "sign_accuracy")["split"]) == {"train"}
    prompts = table(app, "correct_answer")
    assert len(prompts)
    assert set(prompts["behaviour"]) == {"recall"}
    assert set(prompts["split"]) == {"train"}
    assert set(prompts["variant"]) == {FAILS[0]}
    assert not prompts["succeeds"].any()
    app.text_input(key="find-behaviour").set_value("FEVER call").run()
    found = table(app, "correct_answer")
    assert set(found["group"]) == {"fever"}
    app.segmented_control(key="split").set_value("test").run()
    assert "0 of 3 prompts" in plain_words(app)
    assert not app.exception


def test_a_link_shows_one_prompt_by_all_variants(open_page: OpenPage) -> None:
    prompt = behaviour_prompts("recall")[4]
    app = open_page("behaviours", **{"behaviour-prompt": prompt.hash})
    assert not app.exception
    rows = [one.value for one in app.dataframe if "hash" in one.value][-1]
    assert set(rows["hash"]) == {prompt.hash}
    assert rows["variant"].tolist() == list(VARIANTS)
    drawn = " ".join(str(html.proto.body) for html in app.get("html"))
    assert drawn.count("border-bottom") == 1, "what decides is underlined, and nothing else"
    app = open_page("behaviours", **{"behaviour-prompt": "0123456789ab"})
    assert "The prompt of the link is not in this store" in plain_words(app)


def test_hostile_words_are_text(open_page: OpenPage) -> None:
    prompt = behaviour_prompts("recall")[-1]
    app = open_page("behaviours", **{"behaviour-prompt": prompt.hash})
    assert not app.exception
    drawn = " ".join(str(html.proto.body) for html in app.get("html"))
    assert "<img" not in drawn
    assert "&lt;img" in drawn


def test_a_profile_without_behaviours_says_where_to_name_them(open_page: OpenPage, root: Path) -> None:
    from pipeline.analysis.behaviours import behaviour_groups

    folder = root / "artifacts" / "demo"
    for name in NAMES:
        path = own(root, "by_behaviour") if name == NAMES[0] else folder / "by_behaviour"
        none = behaviour_groups([], {}, PARAMS)
        write_dataset(path / "behaviours" / name, BEHAVIOURS, none, provenance=PROVENANCE)
    (folder / "behaviour_prompts").unlink()
    (folder / "behaviour_prompts").mkdir()
    app = open_page("behaviours")
    assert not app.exception
    assert "No behaviour was measured" in plain_words(app)


def test_a_behaviour_that_was_not_measured_names_its_stage_and_the_others_stay(
    open_page: OpenPage, root: Path
) -> None:
    shutil.rmtree(own(root, "by_behaviour") / "behaviours" / "recall")
    app = open_page("behaviours")
    assert not app.exception
    assert "recall was not measured yet; `dvc repro baseline@demo-recall` measures it." in plain_words(app)
    assert list(metrics(app)) == ["agreement"]


def test_provenance_tells_what_each_behaviour_was_computed_from(open_page: OpenPage) -> None:
    app = open_page("provenance", artifact="behaviours")
    assert not app.exception
    told = set(table(app, "property")["property"])
    for name in NAMES:
        assert f"{name}.parameters.behaviours.confidence" in told


def test_the_circuit_follows_the_filters_and_shows_neighbours(open_page: OpenPage, root: Path) -> None:
    app = open_page("behaviours", **CIRCUIT, **{"behaviours-of": FAILS[0], "behaviour": FAILS[1]})
    assert not app.exception
    assert "The variant fails it, so that its circuit says little" in plain_words(app)
    features = table(app, "sign_agreement")
    assert set(features["behaviour"]) == {"recall"}
    assert features["total_effect"].abs().is_monotonic_decreasing
    edges = open_dataset(root / "artifacts/demo/circuits", "edges").to_dataframe()
    edges = edges[(edges["variant"] == "base") & (edges["behaviour"] == "recall")]
    for way, end in (("from", "target"), ("to", "source")):
        layer, index = (int(edges[f"{end}_{part}"].iloc[0]) for part in ("layer", "index"))
        app = open_page("behaviours", **CIRCUIT, **{"behaviour": "recall", "feature": f"L{layer}/{index}"})
        assert not app.exception
        near = table(app, "virtual_weight")
        mine = edges[(edges[f"{end}_layer"] == layer) & (edges[f"{end}_index"] == index)]
        weights = near.loc[near["way"] == way, "weight"].tolist()
        assert weights == mine["weight"].tolist()[:10]
        assert weights


def test_the_circuit_obeys_layer_supernode_and_least_effect(open_page: OpenPage) -> None:
    everything = table(open_page("behaviours", **CIRCUIT, behaviour="recall"), "sign_agreement")
    layer, supernode = int(everything["layer"].iloc[0]), int(everything["supernode"].max())
    assert supernode > 1
    least = float(everything["total_effect"].abs().median().round(1))
    for query, expected in (
        ({"behaviour-layer": f"L{layer}"}, everything["layer"] == layer),
        ({"behaviour-supernode": str(supernode)}, everything["supernode"] == supernode),
        ({"least-effect": str(least)}, everything["total_effect"].abs() >= least),
    ):
        app = open_page("behaviours", **CIRCUIT, behaviour="recall", **query)
        assert not app.exception
        shown = table(app, "sign_agreement")
        assert 0 < len(shown) == expected.sum() < len(everything)
        assert shown["total_effect"].tolist() == everything.loc[expected, "total_effect"].tolist()
        assert f"{len(shown)} of {len(everything)} features" in plain_words(app)
    app = open_page("behaviours", **CIRCUIT, behaviour="recall", **{"least-effect": "5.0"})
    assert "Nothing is left by the filters" in plain_words(app)


def test_a_variant_without_graphs_says_which_have_them(open_page: OpenPage) -> None:
    other = next(each for each in VARIANTS if each not in TRACED)
    app = open_page("behaviours", **CIRCUIT, **{"behaviours-of": other})
    assert not app.exception
    assert "Graphs are made of base, " + TRACED[1] in plain_words(app)


def test_without_circuits_the_tab_says_what_makes_them(open_page: OpenPage, root: Path) -> None:
    (root / "artifacts" / "demo" / "circuits").unlink()
    app = open_page("behaviours", **CIRCUIT)
    assert not app.exception
    assert "` makes it; `dvc pull` fetches it" in plain_words(app)
