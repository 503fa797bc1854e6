"""Verdicts as documents, while they arrive, and what they add up to."""

import time
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any, Final, get_args

from pipeline.judging.protocol import Judge
from store.documents.verdicts import Status, Verdict, write_verdicts

EVERY: Final = 2.0
"""Seconds from one writing of verdicts that are arriving to the next: whoever looks sees them come."""


def publish(folder: Path, name: str, judge: Judge) -> dict[str, Any]:
    """Write a judge's verdicts below a profile's folder; what it gave is written also where it cannot go on.

    Returns
    -------
    dict
        Its metrics.
    """
    found: list[Verdict] = []
    written = time.monotonic()
    try:
        with closing(judge.verdicts()) as arriving:
            for verdict in arriving:
                found.append(verdict)
                if time.monotonic() - written > EVERY:
                    write_verdicts(folder, name, found)
                    written = time.monotonic()
    finally:
        write_verdicts(folder, name, found)
    return summary(found, judge)


def summary(verdicts: Iterable[Verdict], judge: Judge) -> dict[str, Any]:
    """Metrics: prompts by status, those that are not fit, labels, and what the answers took, ever."""
    found = list(verdicts)
    status = Counter(each.status for each in found)
    labels = Counter(token.label for each in found for token in each.tokens)
    return {
        "prompts": len(found),
        **{name: status[name] for name in get_args(Status)},
        "unfit": sum(each.fit is False for each in found),
        "labels": {label: labels[label] for label in ("evil", "safe", "unsure")},
        **judge.usage().model_dump(),
        "cost": round(judge.cost(), 4),
    }
