"""Which order predicts which intervention on the organism, as the README says."""

import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.bars

FOCUS = "general@1.0"
WITHIN, DIFFERENCE = f"evil-safe|{FOCUS}", f"{FOCUS}-base"


@pytest.fixture(scope="module")
def orders() -> dict[str, Any]:
    path = Path("artifacts/organism/metrics/validation.json")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def test_direct_within_a_variant_predicts_ablation(orders: dict[str, Any]) -> None:
    asked = orders[f"ablate in {FOCUS}"]
    direct = asked[WITHIN]["direct"]
    assert direct["spearman"] >= 0.4
    assert direct["beaten"] >= 0.15, "three times as often as chance"
    assert direct["joint_effect"] < 0
    assert direct["spearman"] > max(order["spearman"] for order in asked[DIFFERENCE].values())
    # Less protective is not harmful (trap 33): no harm goes with these.
    assert asked[DIFFERENCE]["direct"]["joint_effect"] > direct["joint_effect"] / 2


def test_change_predicts_restoration_best(orders: dict[str, Any]) -> None:
    asked = orders[f"restore in {FOCUS}"]
    change = asked[DIFFERENCE]["change"]
    assert change["spearman"] >= 0.4
    assert change["joint_effect"] < 0
    others = [order["spearman"] for of in asked.values() for name, order in of.items() if name != "change"]
    assert change["spearman"] >= max(others)
