"""How a judge errs by people's labels of candidate tokens."""

from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from dashboard.data import readers
from dashboard.data.project import made
from pipeline.labels.resolution import HUMAN
from store.schema.labels import LABELS
from store.schema.vocabulary import ALL

_FALSE_ALARM, _RECALL = "false_alarm_evil", "recall_evil"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One error rate.

    Attributes
    ----------
    value, low, high
        The rate, and its interval over situations; NaN where these are too few.
    n_items, n_situations
        Candidates that it is of, and their situations.
    n_effective
        What these situations are worth by the weights of their draws.
    """

    value: float
    low: float
    high: float
    n_items: int
    n_situations: int
    n_effective: float


@dataclass(frozen=True, kw_only=True)
class MeasuredErrors:
    """A judge's error rates against one person.

    Attributes
    ----------
    person
        Whose labels are the reference.
    false_alarm
        Of candidates that the person does not call evil, those that the judge does.
    miss
        Of candidates that the person calls evil, those that the judge does not.
    """

    person: str
    false_alarm: Measured
    miss: Measured


def errors_of(table: xr.Dataset, judge: str) -> MeasuredErrors | None:
    """A judge's errors over all domains against the person who labelled most with it; None: not known.

    Parameters
    ----------
    table
        The group `agreement` of LABELS.
    judge
        Its name in ``params.yaml``.
    """
    found = []
    measures = set(table["measure"].values.tolist())
    if not {_FALSE_ALARM, _RECALL} <= measures:
        return None
    for row, (reference, rater) in enumerate(
        zip(table["reference"].values.tolist(), table["rater"].values.tolist(), strict=True)
    ):
        of = table.isel(pair=row).sel(domain=ALL)
        if rater != judge or not reference.startswith(HUMAN):
            continue
        false_alarm, recall = (_numbers(of, name) for name in (_FALSE_ALARM, _RECALL))
        if np.isfinite([false_alarm.value, recall.value]).all():
            miss = replace(recall, value=1 - recall.value, low=1 - recall.high, high=1 - recall.low)
            person = reference.removeprefix(HUMAN)
            found.append(MeasuredErrors(person=person, false_alarm=false_alarm, miss=miss))
    return max(found, key=lambda one: one.false_alarm.n_items + one.miss.n_items, default=None)


def judge_errors(profile: str, judge: str) -> MeasuredErrors | None:
    """As `errors_of`, of a profile's labels as they are stored."""
    if not made(profile, LABELS.kind):
        return None
    return errors_of(readers.dataset(profile, LABELS.kind, "agreement"), judge)


def _numbers(of: xr.Dataset, measure: str) -> Measured:
    cell = of.sel(measure=measure)
    worth = cell["n_effective"] if "n_effective" in cell else cell["n_situations"]  # since version 8
    return Measured(
        value=float(cell["value"]),
        low=float(cell["low"]),
        high=float(cell["high"]),
        n_items=int(cell["n_items"]),
        n_situations=int(cell["n_situations"]),
        n_effective=float(worth),
    )
