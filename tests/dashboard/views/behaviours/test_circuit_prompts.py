"""Prompts behind a circuit: the list, the graph of the chosen one, and what is missing."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from dashboard.data import by_behaviour, circuits
from dashboard.views.behaviours.circuit_prompts import _base_words
from store.datasets.groups import open_dataset
from tests.support.app import OpenPage, plain_words
from tests.support.circuits import PARAMS
from tests.support.demo.behaviour_graphs import write_behaviour_graphs
from tests.support.demo.behaviours import N_PROMPTS, behaviour_prompts
from tests.support.demo.circuits import TRACED
from tests.support.demo_project import own

CIRCUIT = {"behaviour-view": "Circuit", "behaviour": "recall"}


def listed(app: Any) -> pd.DataFrame:
    (found,) = [one.value for one in app.dataframe if "base_right" in one.value]
    return found


def test_the_list_has_what_is_known_of_each_traced_prompt(open_page: OpenPage, root: Path) -> None:
    app = open_page("behaviours", **CIRCUIT, **{"behaviours-of": TRACED[1]})
    assert not app.exception
    found = listed(app)
    prompts = behaviour_prompts("recall")
    assert found["hash"].tolist() == [each.hash for each in prompts]
    assert found["prompt"].tolist() == [each.prompt for each in prompts]
    assert found["split"].tolist() == [each.split for each in prompts]
    table = open_dataset(root / "artifacts/demo/circuits", "prompts").to_dataframe()
    table = table[table["behaviour"] == "recall"].set_index(["variant", "prompt_hash"])
    of_base = table.loc["base"]
    for row in found.itertuples():
        assert row.contrast == table.loc[TRACED[1], row.hash]["contrast"]
        assert row.base_right == (of_base.loc[row.hash, "contrast"] > 0)
    assert f"{N_PROMPTS} of {N_PROMPTS} prompts" in plain_words(app)
    app.segmented_control(key="split").set_value("test").run()
    assert set(listed(app)["split"]) == {"test"}
    said = "The circuit's features and edges are of train prompts alone, and Prompts is on test."
    assert said in plain_words(app)


def test_base_is_right_where_its_own_contrast_is_above_0(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = circuits._of

    def turned(profile: str, group: str, variant: str) -> pd.DataFrame:
        frame = real(profile, group, variant)
        return frame.assign(contrast=[1.0, -1.0, 0.0] * (len(frame) // 3)) if group == "prompts" else frame

    monkeypatch.setattr(circuits, "_of", turned)
    found = circuits.prompts("demo", TRACED[1], "recall")
    assert found["base_right"].tolist() == [True, False, False] * (N_PROMPTS // 3)


@pytest.mark.parametrize(
    ("right", "said"),
    [
        ([True, False, True], "; base gets 2 of these right"),
        ([True, None, False], "; base gets 1 of the 2 that it was traced on right"),
        ([None, None], ""),
    ],
)
def test_what_base_was_not_traced_on_is_not_counted_as_wrong(right: list[bool | None], said: str) -> None:
    assert _base_words(pd.Series(right, dtype=object)) == said


def test_a_prompts_own_graph_is_summed_over_positions(root: Path) -> None:
    own(root, "by_behaviour")
    write_behaviour_graphs(root / "artifacts" / "demo")
    prompt = behaviour_prompts("recall")[2]
    arrays = by_behaviour.collections("demo", "behaviour_graphs").item(prompt.hash, "base").arrays
    effects: dict[tuple[int, int], float] = {}
    for row, value in enumerate(arrays["active_value"].tolist()):
        if abs(value) >= PARAMS.least_activation:
            key = int(arrays["active_layer"][row]), int(arrays["active_feature"][row])
            effects[key] = effects.get(key, 0.0) + float(arrays["total_effect"][row])
    features, edges = circuits.of_prompt("demo", "base", prompt.hash)
    found = zip(features["layer"], features["index"], strict=True)
    assert dict(zip(found, features["total_effect"], strict=True)) == pytest.approx(effects)
    assert features["total_effect"].abs().is_monotonic_decreasing
    weights: dict[tuple[int, ...], float] = {}
    for source, target, weight in zip(
        arrays["edge_source"], arrays["edge_target"], arrays["edge_weight"].tolist(), strict=True
    ):
        ends = tuple(
            int(arrays[f"active_{part}"][row]) for row in (source, target) for part in ("layer", "feature")
        )
        if ends[:2] in effects and ends[2:] in effects:
            weights[ends] = weights.get(ends, 0.0) + weight
    columns = [f"{end}_{part}" for end in ("source", "target") for part in ("layer", "index")]
    keys = edges[columns].itertuples(index=False, name=None)
    assert dict(zip(keys, edges["weight"], strict=True)) == pytest.approx(weights)


def test_a_link_shows_the_prompts_graph_and_says_what_is_missing(open_page: OpenPage, root: Path) -> None:
    prompt = behaviour_prompts("recall")[1]
    query = {**CIRCUIT, "behaviour-prompt": prompt.hash}
    app = open_page("behaviours", **query)
    assert not app.exception
    assert "What features do on one prompt." in plain_words(app)
    assert "dvc pull" in plain_words(app), "its graphs were not made, or not fetched"
    own(root, "by_behaviour")
    write_behaviour_graphs(root / "artifacts" / "demo")
    app = open_page("behaviours", **query)
    assert not app.exception
    words = plain_words(app)
    assert f"{prompt.split}, {prompt.group}: decision +2.00 logits" in words
    features, _ = circuits.of_prompt("demo", "base", prompt.hash)
    assert f"{len(features)} features are active" in words
