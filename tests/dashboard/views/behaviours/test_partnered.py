"""The tab of interventions: filters that every panel obeys, what is left out, and circuits beside nulls."""

from pathlib import Path

from dashboard.data.partnered import Filters, cells_frame, every_experiment, trials_frame
from store.datasets.groups import open_dataset
from store.schema.vocabulary import PARTNERED
from tests.support.app import OpenPage, plain_words
from tests.support.demo.behaviour_interventions import CIRCUIT, PARAMS
from tests.support.demo.behaviours import N_PROMPTS, NAMES, behaviour_prompts
from tests.support.demo.words import LAYERS

VIEW = {"behaviour-view": "Interventions"}


def table(app, column: str):
    return next(one.value for one in app.dataframe if column in one.value)


def test_circuits_stand_beside_nulls_and_random_ones(open_page: OpenPage) -> None:
    app = open_page("behaviours", **VIEW)
    assert not app.exception
    words = plain_words(app)
    for name in NAMES:
        assert f"{name}: area" in words
    trials = table(app, "verdict")
    own_ones = trials[trials["whose"] == "own"]
    # Ablation of the first features of each circuit, and of as many of the other's.
    assert len(own_ones) == PARAMS.features * len(NAMES)
    assert (trials["whose"] == f"null: {NAMES[1]}").sum() == PARAMS.features
    assert (trials["whose"] == "layer").sum() == LAYERS * len(NAMES)
    first = own_ones[(own_ones["layer"] == CIRCUIT[0][0]) & (own_ones["index"] == CIRCUIT[0][1])]
    assert (first["effect"] < -2).all()
    assert table(app, "correlation")["feature"].str.startswith("L0/3").iloc[0]


def test_filters_are_obeyed_by_all_and_kept_in_the_link(open_page: OpenPage) -> None:
    query = {"behaviour": "recall", "behaviour-experiment": "patching", "behaviour-layer": "L0"}
    app = open_page("behaviours", **VIEW, **query)
    assert not app.exception
    words = plain_words(app)
    assert "recall: area" in words
    assert "agreement: area" not in words
    trials = table(app, "verdict")
    assert set(trials["behaviour"]) == {"recall"}
    assert set(trials["experiment"]) == {"patching"}
    assert set(trials["layer"]) == {0}
    assert f"{N_PROMPTS // 4} of {N_PROMPTS} prompts have no partner of equal length" in words
    assert set(table(app, "correlation")["layer"]) == {0}
    app.slider(key="least-effect").set_value(5.0).run()
    assert "Nothing is left by the filters" in plain_words(app)
    assert not app.exception


def test_supernode_prompt_and_feature_leave_their_own(open_page: OpenPage, root: Path) -> None:
    of_base = open_dataset(root / "artifacts/demo/circuits", "circuit").to_dataframe()
    of_base = of_base[of_base["variant"] == "base"]
    trials = open_dataset(root / "artifacts/demo/behaviour_interventions", "trials").to_dataframe()
    tried = set(zip(trials["behaviour"], trials["layer"], trials["index"], strict=True))
    keys = zip(of_base["behaviour"], of_base["layer"], of_base["index"], strict=True)
    inside = of_base[[key in tried for key in keys]]
    assert len(inside), "a feature that was tried is in a circuit"
    row = inside.iloc[0]
    members = of_base[of_base["supernode"] == row["supernode"]]
    app = open_page("behaviours", **VIEW, **{"behaviour-supernode": str(row["supernode"])})
    assert not app.exception
    known = set(zip(members["behaviour"], members["layer"], members["index"], strict=True))
    for column in ("verdict", "correlation"):
        shown = table(app, column)
        assert set(zip(shown["behaviour"], shown["layer"], shown["index"], strict=True)) <= known
    shown = table(app, "verdict")
    assert (row["layer"], row["index"]) in set(zip(shown["layer"], shown["index"], strict=True))

    prompt = behaviour_prompts("recall")[0]
    (layer, index), *_ = CIRCUIT
    only = {"this-prompt-only": "true", "this-feature-only": "true"}
    query = {"behaviour-prompt": prompt.hash, "feature": f"L{layer}/{index}", **only}
    app = open_page("behaviours", **VIEW, **query)
    assert not app.exception
    shown = table(app, "verdict")
    assert set(zip(shown["layer"], shown["index"], strict=True)) == {(layer, index)}
    assert set(table(app, "correlation")["index"]) == {index}
    filters = Filters(behaviours=NAMES, experiment="ablation", prompt=prompt.hash, feature=(layer, index))
    groups = {
        group: open_dataset(root / "artifacts/demo/behaviour_interventions", group).load()
        for group in ("trials", "cells", "prompts")
    }
    left = trials_frame(groups["trials"], {}, filters)
    cells = cells_frame(groups["cells"], groups["prompts"], left, {}, filters)
    assert set(cells["hash"]) == {prompt.hash}
    assert len(cells) == 1
    assert set(every_experiment(groups["trials"], {}, filters)["experiment"]) == set(PARTNERED)


def test_filters_that_leave_no_correlation_are_named_as_the_cause(open_page: OpenPage) -> None:
    app = open_page("behaviours", **VIEW, feature="L0/9999", **{"this-feature-only": "true"})
    assert not app.exception
    assert "No feature is active in enough groups" not in plain_words(app)
    assert "Nothing is left by the filters." in plain_words(app)


def test_flips_only_leaves_prompts_that_flip(open_page: OpenPage) -> None:
    app = open_page("behaviours", **VIEW, **{"flips-only": "true"})
    assert not app.exception
    assert (table(app, "verdict")["flips"] > 0).all()


def test_a_behaviour_whose_stage_has_not_run_says_the_command(open_page: OpenPage, root: Path) -> None:
    (root / "artifacts" / "demo" / "behaviour_interventions").unlink()
    app = open_page("behaviours", **VIEW)
    assert not app.exception
    assert "What circuits of behaviours do" in plain_words(app)
    assert "dvc repro" in plain_words(app)
