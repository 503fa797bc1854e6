"""How much features carry, on the page: curves, the sentence, what comes first by default and why."""

from pathlib import Path

import numpy as np
import pytest

from dashboard.data import faithfulness as curves
from dashboard.data import readers
from dashboard.views.features import adapter_nodes, faithfulness
from dashboard.views.features.validation import default_score, why_default
from store.datasets.groups import open_dataset, write_dataset
from store.schema.faithfulness import FAITHFULNESS
from store.schema.vocabulary import FAITHFUL_ORDERS, GIVEN, GIVEN_WITH_ADAPTER, TAKEN
from tests.support.app import OpenPage, plain_words
from tests.support.demo import PROVENANCE
from tests.support.demo.faithfulness import faithfulness_groups


def test_the_table_of_areas_decides_what_comes_first(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert faithfulness.best_scores("demo") == ["direct", "change"]
    # Both carry as much: what predicts single effects decides.
    assert default_score("demo") == "direct"
    assert why_default("demo").endswith(
        "direct, change carry cannot be told apart, and it predicts single effects best."
    )
    table = readers.dataset("demo", "faithfulness", "orders").load()
    real = readers.dataset
    row = list(FAITHFUL_ORDERS).index("influence")
    leads = table.copy(deep=True)
    leads["area"].values[0, row], leads["area_high"].values[0, row] = 0.95, 0.99
    # One that stands beyond all intervals needs no second table.
    monkeypatch.setattr(
        readers, "dataset", lambda *of: leads if of[1:] == ("faithfulness", "orders") else real(*of)
    )
    assert default_score("demo") == "influence"
    assert why_default("demo").endswith(
        "its first features carry the largest share of the difference on other situations."
    )
    nothing = table.copy(deep=True)
    for name in ("area", "area_high"):
        nothing[name].values[:] = np.nan
    monkeypatch.setattr(
        readers, "dataset", lambda *of: nothing if of[1:] == ("faithfulness", "orders") else real(*of)
    )
    assert faithfulness.best_scores("demo") == []
    assert default_score("demo") == "direct", "validation decides, as without this table"
    # An outside baseline that carries most is no score of the page.
    baseline = table.copy(deep=True)
    baseline["area"].values[0, -1] = 1.0
    monkeypatch.setattr(
        readers, "dataset", lambda *of: baseline if of[1:] == ("faithfulness", "orders") else real(*of)
    )
    assert faithfulness.best_scores("demo") == ["direct", "change"]


def test_curves_stand_beside_random_and_matched_ones(root: Path) -> None:
    for experiment in (GIVEN, TAKEN, GIVEN_WITH_ADAPTER):
        table, band, summary = curves.frames("demo", experiment)
        assert list(table["k"][:4]) == list(band["k"]) == [1, 3, 10, 30]
        assert len(table) == 4 * len(FAITHFUL_ORDERS)
        assert table["matched"].notna().all() == (experiment == GIVEN)
        assert band["high"].notna().all() == (experiment != GIVEN_WITH_ADAPTER)
        assert summary["order"].iloc[0] == "direct"
        assert (np.diff(summary["area"]) <= 0).all()
    said = curves.verdict(readers.dataset("demo", "faithfulness", "difference"), summary, GIVEN)
    assert said.startswith("On 12 other situations the adapter moves the log-odds")
    assert said.endswith("the order by direct has the largest area: its first 3 carry half of it.")
    none = summary.assign(fewest=-1)
    told = readers.dataset("demo", "faithfulness", "difference").load()
    assert "not even its longest list" in curves.verdict(told, none, GIVEN)
    told = told.assign(reason=("difference", np.array(["too few"], object)))
    assert curves.verdict(told, none, GIVEN) == "No share is known: too few."


def test_without_orders_the_sentence_says_why(root: Path, open_page: OpenPage) -> None:
    groups = faithfulness_groups(open_dataset(root / "artifacts/demo/features", "ranking").load())
    none = {
        name: group.isel({dim: slice(0) for dim in ("order", "feature", "null") if dim in group.dims})
        for name, group in groups.items()
    }
    none["difference"]["smallest_q"].values[:] = 0.14
    made = PROVENANCE | {"parameters": {"faithfulness": {"reached": 0.5, "fdr": 0.05}}}
    write_dataset(root / "artifacts/demo/faithfulness", FAITHFULNESS, none, provenance=made)
    page = open_page("features")
    assert not page.exception
    assert not page.error, [error.value for error in page.error]
    words = plain_words(page)
    assert "No feature was active in enough of the situations that order them." in words
    assert "None can be said to act:" in words
    assert "q cannot be below 0.140, and faithfulness.fdr is 0.0500" in words


def test_orders_with_adapter_nodes_say_which_and_how_few(root: Path) -> None:
    given, taken = (adapter_nodes.node_frame("demo", each) for each in (GIVEN, TAKEN))
    assert list(given["order"]) == ["what the adapter writes", "that, among features"]
    assert list(given["nodes"]) == [
        "L0 attention 1, L0 mlp 2, L1 attention 3, L1 mlp 4",
        "L0 attention 2, L1 attention 5",
    ]
    assert list(given["fewest"]) == [1, 1]
    assert (given["area"] == taken["area"]).all()
    said = adapter_nodes.said_of_nulls("demo")
    assert said.startswith("Random adapters: null-1@1.0 moves the log-odds by +0.0200")
    assert "(no share of that is known: the change cannot be told from 0); null-2@1.0" in said
    assert said.endswith("of the adapter's difference.")


def test_features_without_effect_are_listed(root: Path) -> None:
    frame = faithfulness.silent_frame("demo")
    assert list(frame["verdict"]) == ["acts"] * 4 + ["silent"] * 4
    assert frame["orders"].iloc[0].startswith("direct ")


def test_the_page_shows_the_panel_and_does_without(open_page: OpenPage, root: Path) -> None:
    page = open_page("features", carried="taken")
    assert not page.exception
    words = plain_words(page)
    assert "How much of the difference do features carry?" in words
    assert "At first the page ranks by direct" in words
    assert "8 features, of which 4 act and 4 are silent" in words
    assert "None can be said to act" not in words
    assert "Random adapters: null-1@1.0 moves the log-odds by" in words
    assert "An adapter node is what the adapter writes" in words
    assert page.session_state["carried"] == "taken"
    (root / "artifacts" / "demo" / "faithfulness").unlink()
    page = open_page("features")
    assert not page.exception
    assert page.session_state["score"] == "direct"
