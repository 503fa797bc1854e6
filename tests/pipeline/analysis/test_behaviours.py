"""Success, accuracy and PASS, against formulas written out; and nulls that must not pass."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.analysis.behaviours import Measured, answer_means, behaviour_groups, passing
from pipeline.analysis.intervals import clustered_rate_interval
from pipeline.params.behaviours import BehaviourParams
from store.documents.behaviour_prompts import BehaviourPrompt
from tests.support.behaviours import make_prompt

PARAMS = BehaviourParams.model_validate(
    {
        "train": 80,
        "test": 20,
        "test_groups": 8,
        "seed": 42,
        "batch": 64,
        "confidence": 0.95,
        "bar": {"success": 2.0, "passing": 0.8},
        "bars": {"sentiment": {"success": 1.5, "passing": 0.75}},
    }
)


def prompts(n: int = 40, **changes: Any) -> list[BehaviourPrompt]:
    """Four of a group, every fifth group of the test split; two tokens against three."""
    return [
        make_prompt(
            i,
            group=f"g{i // 4}",
            split="test" if i // 4 % 5 == 4 else "train",
            correct_ids=(7, 9),
            incorrect_ids=(8, 9, 9),
            **changes,
        )
        for i in range(n)
    ]


def measured(difference: np.ndarray, decision: np.ndarray | None = None) -> Measured:
    return Measured(
        correct=np.full(len(difference), -1.0),
        incorrect=-1.0 - difference,
        decision=difference if decision is None else decision,
    )


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), max_size=6), st.integers(0, 99))
def test_means_are_of_each_answers_own_tokens(lengths: list[tuple[int, int]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    answers = [rng.normal(size=n) for pair in lengths for n in pair]
    flat = np.concatenate([np.empty(0), *answers])
    start = np.cumsum([0, *map(len, answers)])[:-1]
    right, wrong = answer_means(flat, start)
    np.testing.assert_allclose(right, [each.mean() for each in answers[::2]])
    np.testing.assert_allclose(wrong, [each.mean() for each in answers[1::2]])


def test_every_number_of_a_cell_by_hand() -> None:
    rng = np.random.default_rng(0)
    asked = prompts()
    values = {"base": rng.normal(3, 2, 40), "general@1.0": rng.normal(1, 2, 40)}
    decision = rng.normal(1, 3, 40)
    groups = behaviour_groups(asked, {name: measured(v, decision) for name, v in values.items()}, PARAMS)
    summary = groups["summary"]
    for name, difference in values.items():
        for split in ("all", "train", "test"):
            rows = np.array([split in ("all", each.split) for each in asked])
            cell = summary.sel(variant=name, behaviour="agreement", split=split)
            mine = difference[rows]
            assert cell["n"] == rows.sum()
            assert cell["n_groups"] == rows.sum() / 4
            assert float(cell["accuracy"]) == pytest.approx((mine > 2).mean())
            assert float(cell["sign_accuracy"]) == pytest.approx((mine > 0).mean())
            assert float(cell["mean"]) == pytest.approx(mine.mean())
            assert float(cell["median"]) == pytest.approx(np.median(mine))
            assert float(cell["deviation"]) == pytest.approx(np.std(mine, ddof=1))
            assert float(cell["decision"]) == pytest.approx(decision[rows].mean())
            assert float(cell["decision_accuracy"]) == pytest.approx((decision[rows] > 0).mean())
            assert (float(cell["correct_tokens"]), float(cell["incorrect_tokens"])) == (2, 3)
            assert bool(cell["passes"]) == ((mine > 2).mean() >= 0.8)
            assert float(cell["low"]) < float(cell["accuracy"]) < float(cell["high"])
    table = groups["prompts"].sel(variant="base")
    np.testing.assert_allclose(table["difference"], values["base"])
    assert table["prompt_hash"].values.tolist() == [each.hash for each in asked]
    metrics = passing(summary)["agreement"]["base"]
    assert metrics["accuracy"] == round(float((values["base"] > 2).mean()), 4)


def test_the_interval_is_over_groups() -> None:
    # All or nothing within groups of four: ten groups, not forty prompts.
    difference = np.repeat([5.0, -5.0] * 5, 4)
    cell = behaviour_groups(prompts(), {"base": measured(difference)}, PARAMS)["summary"].sel(
        variant="base", behaviour="agreement", split="all"
    )
    low, high = clustered_rate_interval(np.array([4, 0] * 5), np.full(10, 4), 0.95, icc=1.0)
    assert (float(cell["low"]), float(cell["high"])) == pytest.approx((low, high))
    alone = clustered_rate_interval((difference > 2).astype(int), np.ones(40), 0.95)
    assert high - low > 1.5 * (alone[1] - alone[0])


@pytest.mark.parametrize(
    ("behaviour", "share", "size", "passes"),
    [
        ("agreement", 0.8, 2.1, True),
        ("agreement", 0.775, 2.1, False),
        ("agreement", 1.0, 2.0, False),  # above, not at
        ("sentiment", 0.75, 1.6, True),
        ("sentiment", 0.725, 1.6, False),
        ("sentiment", 1.0, 1.5, False),
    ],
)
def test_bars_are_those_of_the_behaviour(behaviour: str, share: float, size: float, passes: bool) -> None:
    difference = np.where(np.arange(40) < round(share * 40), size, -1.0)
    # Means of log-probabilities that differ by just the threshold, without rounding.
    given = Measured(correct=difference, incorrect=np.zeros(40), decision=difference)
    summary = behaviour_groups(prompts(behaviour=behaviour), {"base": given}, PARAMS)["summary"]
    assert bool(summary["passes"].sel(split="all").item()) is passes


def test_answers_swapped_at_random_prefer_neither_and_fail() -> None:
    rng = np.random.default_rng(3)
    signs = rng.choice([-1, 1], 400)
    swapped = measured(signs * rng.normal(5, 0.5, 400))
    cell = behaviour_groups(prompts(400), {"base": swapped}, PARAMS)["summary"].sel(
        variant="base", behaviour="agreement", split="all"
    )
    assert 0.4 < float(cell["sign_accuracy"]) < 0.6
    assert 0.4 < float(cell["decision_accuracy"]) < 0.6
    assert float(cell["low"]) < 0.5 < float(cell["high"])
    assert not bool(cell["passes"])


def test_what_was_not_measured_is_in_no_number_and_passes_nothing() -> None:
    difference = np.full(40, 5.0)
    difference[:20] = np.nan
    nothing = measured(np.full(40, np.nan))
    groups = behaviour_groups(prompts(), {"base": measured(difference), "general@1.0": nothing}, PARAMS)
    cell = groups["summary"].sel(variant="base", behaviour="agreement", split="all")
    assert (int(cell["n"]), int(cell["n_groups"]), float(cell["accuracy"])) == (20, 5, 1.0)
    none = groups["summary"].sel(variant="general@1.0", split="all")
    assert int(none["n"].item()) == 0
    assert np.isnan(none["accuracy"].item())
    assert not bool(none["passes"].item())
    assert not groups["prompts"]["succeeds"].values[0, :20].any()
    assert list(passing(groups["summary"])["agreement"]) == ["base"]


def test_without_behaviours_the_tables_are_empty() -> None:
    groups = behaviour_groups([], {"base": measured(np.empty(0))}, PARAMS)
    assert groups["summary"].sizes == {"variant": 1, "behaviour": 0, "split": 3}
    assert groups["prompts"].sizes == {"variant": 1, "prompt": 0}
    assert passing(groups["summary"]) == {}
