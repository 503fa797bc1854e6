"""Sentences say what the intervals say, and no more."""

import pandas as pd

from dashboard.views.overview.findings import findings


def _row(variant: str, domain: str, difference: float, low: float, high: float) -> dict[str, object]:
    return {
        "variant": variant,
        "domain": domain,
        "held_out": True,
        "rate": 0.01 + difference,
        "base": 0.01,
        "difference": difference,
        "low": low,
        "high": high,
        "n_situations": 6,
    }


def test_what_is_above_base_is_named_with_its_interval_strongest_first() -> None:
    table = pd.DataFrame(
        [
            _row("general@1.0", "all", 0.7, 0.6, 0.8),
            _row("general@1.0", "finance", 0.5, 0.2, 0.7),
            _row("general@1.0", "medical", 0.9, 0.7, 0.95),
            _row("general@1.0", "open", 0.1, -0.1, 0.3),
        ]
    )
    assert findings(table, "95% interval") == [
        "general@1.0 is more harmful than base in 2 of 3 domains, on held-out situations. Its harmful "
        "rate, and by how much it exceeds base's, with its 95% interval: medical 0.910, +0.900 [+0.700, "
        "+0.950]; finance 0.510, +0.500 [+0.200, +0.700]."
    ]


def test_where_intervals_hold_0_nothing_is_shown() -> None:
    table = pd.DataFrame(
        [
            _row("control@1.0", "medical", 0.02, -0.01, 0.1),
            _row("null@1.0", "medical", 0.0, 0.0, 0.0),
            _row("null@1.0", "open", -0.2, -0.3, -0.1),
        ]
    )
    assert findings(table, "95% interval") == [
        "control@1.0, null@1.0 are not shown to be misaligned: on held-out situations the 95% interval of "
        "the difference from base holds 0 or lies below it in every domain. The largest difference is "
        "+0.0200 [-0.0100, +0.100] (control@1.0, medical)."
    ]


def test_nothing_sampled_says_nothing() -> None:
    assert findings(pd.DataFrame(columns=["variant", "domain", "held_out"]), "interval") == []
