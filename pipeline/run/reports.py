"""Metrics as JSON and plots as CSV, where ``dvc metrics`` and ``dvc plots`` look for them."""

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from store.base.atomic import write_text


def write_metrics(folder: Path, stage: str, metrics: Mapping[str, Any], nothing: str = "") -> None:
    """Write ``metrics/<stage>.json`` below a profile's folder; what is unknown is null: JSON has no NaN.

    `nothing` says why the stage had nothing to do, or to score: its last line, and a sentence of Overview's,
    which reads it as ``nothing``. Without one there is no such key.
    """
    told = {**metrics, "nothing": nothing} if nothing else metrics
    text = json.dumps(_known(told), indent=1, allow_nan=False)
    write_text(folder / "metrics" / f"{stage}.json", f"{text}\n")
    if nothing:
        print(f"{stage}: {nothing}", flush=True)


def _known(value: Any) -> Any:
    """The same, with None in place of numbers that are none."""
    if isinstance(value, Mapping):
        return {name: _known(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_known(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_plot(folder: Path, stage: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write ``plots/<stage>.csv`` below a profile's folder."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text(folder / "plots" / f"{stage}.csv", text.getvalue())


def none_scored(profile: str, scored: int) -> str:
    """Why there was nothing to score, and what would give something; empty where `scored` prompts were.

    A profile without lexicon and labels runs to its end all the same: graphs need neither.
    """
    if scored:
        return ""
    return (
        "no prompt has both an evil and a safe candidate, so nothing is scored by evil against safe; name a "
        f"lexicon or judges in profiles.{profile} of params.yaml, `targets` in prompts, or label candidates "
        "on the dashboard"
    )
