"""Labels of two raters, and what is measured of them."""

from typing import Any

import numpy as np
import pandas as pd

from pipeline.analysis.agreement_measures import (
    LABELS,
    Items,
)
from store.schema.vocabulary import ALL


def items(situation: Any, weight: Any = 1.0, domain: Any = "") -> Items:
    situation = np.asarray(situation)
    shape = situation.shape
    return Items(
        situation=situation,
        domain=np.broadcast_to(np.asarray(domain, dtype=object), shape),
        weight=np.broadcast_to(np.asarray(weight, dtype=np.float64), shape),
    )


def measured(frame: pd.DataFrame, domain: str = ALL) -> pd.DataFrame:
    return frame[frame["domain"] == domain].set_index("measure")


def some(seed: int, n: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    first = rng.choice(LABELS, n, p=(0.3, 0.5, 0.2))
    second = np.where(rng.random(n) < 0.6, first, rng.choice(LABELS, n))
    return first, second, rng.integers(0, 12, n)
