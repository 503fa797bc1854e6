"""Swapped answers find no feature: the null of what goes with how well a behaviour is answered (trap 30)."""

import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.bars

LEVEL = 0.05


def test_at_most_one_swap_in_twenty_finds_anything() -> None:
    path = Path("artifacts/organism/metrics/behaviour_interventions.json")
    for behaviour, metrics in json.loads(path.read_text(encoding="utf-8")).items():
        for how, share in metrics["share of swaps in which any does"].items():
            assert share <= LEVEL, (behaviour, how)
