"""Names that judges gave features: which of them counts."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.analysis.name_scores import beats_control
from store.schema.names import NAME_STATUSES

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, kw_only=True)
class JudgedName:
    """A judge's name of a feature, and how well it tells where the feature fires.

    Attributes
    ----------
    name, judge
        What it is called, and by whom.
    balanced_accuracy, low, high
        On held-out contexts, with its exact interval.
    shuffled_accuracy
        Of another feature's name on the same contexts.
    n_contexts
        Of how many.
    """

    name: str
    judge: str
    balanced_accuracy: float
    low: float
    high: float
    shuffled_accuracy: float
    n_contexts: int


def judged_names(names: "xr.Dataset") -> dict[tuple[int, int], JudgedName]:
    """Of each feature the judge's name that tells most of it, by layer and index.

    A name that is not above its control (`pipeline.analysis.name_scores.beats_control`) is none. Of equally
    good ones the judge counts who is named first.

    Parameters
    ----------
    names
        The group of the NAMES dataset.
    """
    table = {name: names[name].values for name in names.variables}
    scored = table["status"] == NAME_STATUSES.index("scored")
    holds = scored & beats_control(table["low"], table["shuffled_accuracy"])
    accuracy = np.where(holds, table["balanced_accuracy"], -np.inf)
    found = {}
    for row in np.flatnonzero(holds.any(axis=0)).tolist():
        judge = int(np.argmax(accuracy[:, row]))
        found[int(table["layer"][row]), int(table["index"][row])] = JudgedName(
            judge=str(table["judge"][judge]),
            name=str(table["name"][judge, row]),
            n_contexts=int(table["n_contexts"][row]),
            **{
                name: float(table[name][judge, row])
                for name in ("balanced_accuracy", "low", "high", "shuffled_accuracy")
            },
        )
    return found
