"""The tab of interventions: filters that every panel obeys, what is left out, and circuits beside nulls."""

from pathlib import Path

from tests.support.app import OpenPage, plain_words
from tests.support.demo.behaviour_interventions import CIRCUIT, PARAMS
from tests.support.demo.behaviours import N_PROMPTS, NAMES
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
