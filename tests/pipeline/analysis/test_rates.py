"""Rates of what continuations are: missing is not zero, and the unit is the situation."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.analysis.intervals import wilson_interval
from pipeline.analysis.rates import harmful_rates, rates
from store.base.hashing import digest, prompt_hash
from store.collections.item import Item
from store.datasets.groups import open_dataset, write_dataset
from store.documents.prompts import Prompt
from store.schema.rates import RATES
from tests.support.places import ROOT

CONFIDENCE = 0.95


def numbered(number: int, *, situation: str, domain: str | None, held_out: bool) -> Prompt:
    return Prompt(
        hash=prompt_hash(str(number)),
        name=str(number),
        situation=situation,
        domain=domain,
        held_out=held_out,
        tags=(),
        text=str(number),
        token_ids=(1,),
        tokens=("x",),
        source="here:1",
    )


def outcomes_of(prompt: Prompt, variant: str, codes: list[int]) -> Item:
    return Item(
        key=digest("key"),
        prompt_hash=prompt.hash,
        variant=variant,
        arrays={"sample_outcome": np.array(codes, np.int8)},
        scalars={},
    )


@pytest.fixture(scope="module")
def groups() -> dict[str, Any]:
    prompts = [
        numbered(0, situation="a", domain="medical", held_out=False),
        numbered(1, situation="a", domain="medical", held_out=False),
        numbered(2, situation="b", domain="medical", held_out=True),
        numbered(3, situation="c", domain="finance", held_out=False),
        numbered(4, situation="d", domain=None, held_out=False),
    ]
    items = [
        outcomes_of(prompts[0], "base", [0, 1, 1, 2]),
        outcomes_of(prompts[1], "base", [0, 0, 1, 1]),
        outcomes_of(prompts[2], "base", [1, 1, 1, 1]),
        outcomes_of(prompts[3], "base", [1, 1, 2, 2]),
        outcomes_of(prompts[4], "base", [3, 3, 3, 3]),
        outcomes_of(prompts[2], "general@1.0", [0, 0, 0, 1]),
    ]
    return rates(items, prompts, CONFIDENCE)


def cell(table: Any, name: str, variant: str, domain: str, split: str) -> Any:
    place = [
        table[axis].values.tolist().index(value)
        for axis, value in (("variant", variant), ("domain", domain), ("split", split))
    ]
    return table[name].values[tuple(place)]


def test_rates_pool_the_labelled_samples(groups: dict[str, Any]) -> None:
    table = groups["rates"]
    assert table["variant"].values.tolist() == ["base", "general@1.0"]
    assert table["domain"].values.tolist() == ["all", "finance", "medical"]
    assert cell(table, "n", "base", "medical", "seen") == 8
    assert cell(table, "n_situations", "base", "medical", "seen") == 1
    assert cell(table, "rate", "base", "medical", "seen").tolist() == [3 / 8, 4 / 8, 1 / 8]
    assert cell(table, "rate", "base", "medical", "held-out").tolist() == [0, 1, 0]
    assert cell(table, "n", "base", "all", "seen") == 12
    assert cell(table, "n_situations", "base", "all", "seen") == 2


def test_nothing_sampled_is_nan_and_not_zero(groups: dict[str, Any]) -> None:
    """Traps 13 and 26."""
    table = groups["rates"]
    assert cell(table, "n", "general@1.0", "finance", "seen") == 0
    for name in ("rate", "low", "high"):
        assert np.isnan(cell(table, name, "general@1.0", "finance", "seen")).all()
    situations = groups["situations"]
    unlabelled = situations["situation"].values.tolist().index("d")
    assert situations["n"].values[0, unlabelled] == 0
    assert np.isnan(situations["rate"].values[0, unlabelled]).all()


def test_one_situation_is_one_observation(groups: dict[str, Any]) -> None:
    """Trap 17: eight samples of one situation are no eight observations."""
    low, high = (cell(groups["rates"], n, "base", "medical", "seen")[0] for n in ("low", "high"))
    assert (low, high) == pytest.approx(wilson_interval(3 / 8, 1, 0.95))


def test_rates_by_situation(groups: dict[str, Any]) -> None:
    table = groups["situations"]
    assert table["situation"].values.tolist() == ["d", "c", "a", "b"]
    assert table["situation_domain"].values.tolist() == ["", "finance", "medical", "medical"]
    assert table["situation_held_out"].values.tolist() == [False, False, False, True]
    assert table["rate"].values[0, 2].tolist() == [3 / 8, 4 / 8, 1 / 8]


def test_metrics_leave_out_what_was_not_sampled(groups: dict[str, Any]) -> None:
    assert harmful_rates(groups["rates"]) == {
        "base": {
            "all": {"seen": 0.25, "held-out": 0.0},
            "finance": {"seen": 0.0},
            "medical": {"seen": 0.375, "held-out": 0.0},
        },
        "general@1.0": {"all": {"held-out": 0.75}, "medical": {"held-out": 0.75}},
    }


def test_it_is_what_the_schema_says(groups: dict[str, Any], tmp_path: Path) -> None:
    write_dataset(tmp_path / "rates", RATES, groups, provenance={})
    for name, group in groups.items():
        stored: Any = open_dataset(tmp_path / "rates", name)
        for array in RATES.groups[name]:
            np.testing.assert_array_equal(stored[array].values, group[array].values)


def test_nothing_at_all_is_an_empty_table(tmp_path: Path) -> None:
    groups = rates([], [], CONFIDENCE)
    write_dataset(tmp_path / "rates", RATES, groups, provenance={})


ORDER = """
import numpy as np
from pipeline.analysis.rates import samples_icc
draw = np.random.default_rng(0)
n = draw.integers(1, 40, (3, 400))
domain = np.array([f"domain {i % 40}" for i in range(400)], object)
print(repr(samples_icc(draw.binomial(n, 0.3), n, domain, draw.random(400) < 0.4)))
"""


def test_the_order_of_sums_does_not_hang_on_how_texts_are_hashed() -> None:
    said = [
        subprocess.run(
            [sys.executable, "-c", ORDER],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in "0123"
    ]
    assert len(set(said)) == 1, said
