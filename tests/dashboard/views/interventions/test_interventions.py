"""The Interventions page: every panel obeys the filters, and says what it shows."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dashboard.data import readers
from dashboard.data.interventions import (
    ALL,
    Filters,
    cells_frame,
    chosen,
    parts_frame,
    positions_frame,
    predictions_frame,
    profiles_frame,
    silent_frame,
    trials_frame,
)
from dashboard.views.interventions.effects import verdict
from pipeline.analysis.intervention_tables import no_groups
from store.datasets.groups import write_dataset
from store.schema.interventions import INTERVENTIONS
from store.schema.vocabulary import ABLATION, FROZEN, IMPORTANCE, PART_SETS
from tests.support.app import OpenPage, plain_words

FOCUS = "general@1.0"
FREE = Filters(experiment=ABLATION, variant=FOCUS, frozen="nothing")


def frame(domain: str = ALL) -> pd.DataFrame:
    table, cells = (readers.dataset("demo", "interventions", group) for group in ("trials", "cells"))
    return trials_frame(table, cells, {}, domain)


def test_filters_leave_what_they_say(root: Path) -> None:
    everything = frame()
    left = chosen(everything, FREE)
    assert len(left) == 4
    assert set(left["variant"]) == {FOCUS}
    assert set(left["frozen"]) == {"nothing"}
    layer = int(left["layer"][0])
    of_layer = chosen(everything, Filters(experiment=ABLATION, variant=FOCUS, frozen="nothing", layer=layer))
    assert of_layer["trial"].tolist() == left.loc[left["layer"] == layer, "trial"].tolist()
    assert set(chosen(everything, FREE, every=("frozen",))["frozen"]) == set(FROZEN)
    assert set(positions_frame(everything)["from_end"]) == {0}
    assert len(positions_frame(left)) == 0
    assert everything.loc[everything["experiment"] == IMPORTANCE, "setting"].eq("last token").all()


def test_of_one_domain_there_are_its_own_means_and_no_tests(root: Path) -> None:
    cells = readers.dataset("demo", "interventions", "cells")
    domain = str(cells["domain"].values[0])
    inside = cells["domain"].values == domain
    whole, one = frame(), frame(domain)
    by_situation = [
        cells["effect"].values[:, inside & (cells["situation"].values == name)].mean(axis=1)
        for name in dict.fromkeys(cells["situation"].values[inside])
    ]
    np.testing.assert_allclose(one["effect"], np.mean(by_situation, axis=0))
    assert not np.allclose(one["effect"], whole["effect"])
    assert one[["low", "high", "q"]].isna().all(axis=None)
    of_cells = cells_frame(cells, chosen(one, FREE), domain)
    assert set(of_cells["domain"]) == {domain}
    assert len(of_cells) == 4 * inside.sum()


def test_cells_and_predictions_are_those_of_their_trials(root: Path) -> None:
    cells = readers.dataset("demo", "interventions", "cells")
    trials = chosen(frame(), FREE, every=("frozen",))
    found = cells_frame(cells, trials)
    some = found.sample(20, random_state=0)
    prompts = [str(name) for name in cells["prompt"].values]
    for row in some.itertuples():
        at = {"trial": row.trial, "prompt": prompts.index(row.prompt)}
        assert row.effect == float(cells["effect"].isel(at))
        assert row.control_mean == pytest.approx(
            float(cells["control_effect"].isel(at).mean()), nan_ok=True, rel=1e-5
        )
    predicted = predictions_frame(cells, trials, "direct")
    assert set(predicted["frozen"]) == set(FROZEN)
    for row in predicted.sample(10, random_state=0).itertuples():
        at = {"trial": row.trial, "prompt": prompts.index(row.prompt), "score": 0}
        assert row.predicted == float(cells["predicted"].isel(at))
    assert len(predictions_frame(cells, trials, "change")) == 0
    clustered = profiles_frame(cells_frame(cells, chosen(frame(), FREE)), 3)
    assert len(clustered) == 4 * len(prompts)
    idle = clustered.groupby("feature")["effect"].apply(lambda one: (one == 0).all())
    assert clustered[clustered["feature"].isin(idle.index[idle])]["cluster"].eq(0).all()


def test_the_verdict_names_the_largest_that_acts(root: Path) -> None:
    left = chosen(frame(), FREE)
    words = verdict(left.assign(verdict=["acts", "unclear", "silent", "unclear"]), FREE)
    assert words.startswith("1 of 4 act: the activation becomes 0")
    assert f"The largest: {left['feature'][0]}" in words
    assert verdict(left[:0], FREE) == "Nothing is left by the filters."
    one = Filters(experiment=ABLATION, variant=FOCUS, frozen="norms", domain="medical")
    assert "with norms frozen" in verdict(left, one)
    assert "Tests are over all domains" in verdict(left, one)
    assert len(silent_frame(left.assign(verdict="silent"))) == 4


def test_the_page_obeys_its_link(open_page: OpenPage, root: Path) -> None:
    page = open_page("interventions")
    assert not page.exception
    assert not page.error
    said = plain_words(page)
    for title in (
        "What does it do?",
        "Through what does the difference go?",
        "Where does an effect die?",
        "Which features are silent?",
    ):
        assert title in said
    assert f"in {FOCUS}" in said
    assert "In the adapted model, with these parts of every layer as they are in base" in said
    domain = str(readers.dataset("demo", "interventions", "cells")["domain"].values[0])
    query = {"experiment": "dose response", "tried-in": "base", "tried-domain": domain}
    page = open_page("interventions", **query, **{"predicted-by": "change"})
    assert not page.exception
    assert f"Means over situations of {domain}: it is multiplied" in plain_words(page)
    assert "in base" in plain_words(page)
    assert "In base, with these parts of every layer as they are in the adapted model" in plain_words(page)


def test_panels_without_rows_say_the_true_cause(open_page: OpenPage, root: Path) -> None:
    """Base was tried at no single position, the focus was; of its doses no effect is known."""
    groups = {group: readers.dataset("demo", "interventions", group).load() for group in INTERVENTIONS.groups}
    trials = groups["trials"]
    experiment, n = trials["experiment"].values, trials.sizes["trial"]
    dosed = experiment == "dose_response"
    groups["trials"] = trials.assign(
        variant=trials["variant"].where(experiment != IMPORTANCE, FOCUS),
        effect=trials["effect"].where(~dosed),
        value=trials["value"].where(~dosed, np.arange(n) + 2.0),
    )
    folder = root / "artifacts" / "demo" / "interventions"
    folder.unlink()
    write_dataset(folder, INTERVENTIONS, groups, provenance={})
    page = open_page("interventions", experiment="dose response", **{"tried-in": "base"})
    assert not page.exception
    captions = [str(caption.value) for caption in page.caption]
    assert "Nothing is left by the filters." in captions
    assert "No effect is known of what the filters leave." in captions


def test_parts_are_those_of_the_direction(root: Path) -> None:
    table = readers.dataset("demo", "faithfulness", "parts").load()
    shares = np.arange(2.0 * len(PART_SETS)).reshape(2, -1)
    table = table.assign(fraction=(("direction", "part"), shares))
    for given, row in ((True, 0), (False, 1)):
        found = parts_frame(table, given=given)
        assert found["part"].tolist() == [" + ".join(parts) for parts in PART_SETS]
        np.testing.assert_array_equal(found["share"], shares[row])
        assert (found["low"] <= found["high"]).all()


def test_where_nothing_was_tried_the_page_says_why(open_page: OpenPage, root: Path) -> None:
    folder = root / "artifacts" / "demo" / "interventions"
    folder.unlink()
    write_dataset(folder, INTERVENTIONS, no_groups(), provenance={})
    page = open_page("interventions")
    assert not page.exception
    assert "Nothing was tried" in plain_words(page)
