"""Numbers of the store as CSV and JSON say them: with all digits, and nothing where nothing is known."""

import csv
import io
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np


def csv_bytes(header: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """A table as CSV in UTF-8."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode("utf-8")


def written(value: Any) -> str:
    """With all digits; empty where it is not known.

    >>> written(np.float64(0.1)), written(np.bool_(True)), written(np.nan)
    ('0.1', 'true', '')
    """
    found = plain(value)
    if found is None:
        return ""
    return str(found).lower() if isinstance(found, bool) else str(found)


def plain(value: Any) -> Any:
    """As Python and JSON have it; None for what is not known, since JSON knows no NaN."""
    found = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(found, float) and not math.isfinite(found) else found
