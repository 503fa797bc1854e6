"""Interventions along partners, and what circuits of behaviours carry, as frames; no Streamlit here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr

from dashboard.style.text import named
from store.documents.behaviour_prompts import BehaviourPrompt

ALL: Final = "all"
WHOLE_LAYER: Final = "all features"
OWN: Final = "its own"
"""Whose circuit."""
_WHOLE: Final = -1
_OF_CELL: Final = (
    *("baseline", "intervened", "effect", "effect_log_probability", "relative", "flip", "before", "after"),
    *("n_positions", "p"),
)


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What every panel shows.

    Attributes
    ----------
    behaviours
        Of whose prompts.
    experiment
        What is done.
    layer
        Of what it is done to; None: all.
    least
        Smaller effects, in logits, are left out.
    flips
        Only what turns a contrast's sign.
    """

    behaviours: Sequence[str]
    experiment: str
    layer: int | None = None
    least: float = 0.0
    flips: bool = False


def trials_frame(table: xr.Dataset, names: Mapping[tuple[int, int], str], filters: Filters) -> pd.DataFrame:
    """Trials that the filters leave, whole layers first: what was done, its mean effect, and its tests."""
    frame = pd.DataFrame({str(name): array.values for name, array in table.variables.items()})
    frame.insert(0, "trial", np.arange(len(frame)))
    places = zip(frame["layer"], frame["index"], strict=True)
    frame.insert(1, "feature", [_feature(names, int(layer), int(index)) for layer, index in places])
    frame["whose"] = [
        "layer" if not circuit else ("own" if circuit == behaviour else f"null: {circuit}")
        for circuit, behaviour in zip(frame["circuit"], frame["behaviour"], strict=True)
    ]
    kept = frame["behaviour"].isin(filters.behaviours) & (frame["experiment"] == filters.experiment)
    if filters.layer is not None:
        kept &= frame["layer"] == filters.layer
    kept &= ~(frame["effect"].abs() < filters.least)
    if filters.flips:
        kept &= frame["flips"] > 0
    order = frame["index"].eq(_WHOLE).map({True: 0, False: 1})
    return frame[kept].loc[order[kept].sort_values(kind="stable").index].reset_index(drop=True)


def _feature(names: Mapping[tuple[int, int], str], layer: int, index: int) -> str:
    return f"L{layer}, {WHOLE_LAYER}" if index == _WHOLE else named(names, (layer, index))


def cells_frame(
    cells: xr.Dataset,
    prompts: xr.Dataset,
    trials: pd.DataFrame,
    known: Mapping[str, BehaviourPrompt],
    filters: Filters,
) -> pd.DataFrame:
    """Trials that are left, prompt by prompt.

    Returns
    -------
    pd.DataFrame
        Columns feature, setting (whose circuit), situation (the prompt's text), group, and of the group
        ``cells``; control_mean, the mean of its controls.
    """
    rows = np.flatnonzero(np.isin(cells["trial"].values, trials["trial"]))
    frame = pd.DataFrame({name: cells[name].values[rows] for name in _OF_CELL})
    of = trials.set_index("trial").loc[cells["trial"].values[rows]]
    frame.insert(0, "feature", of["feature"].to_numpy())
    frame.insert(1, "setting", of["whose"].to_numpy())
    place = cells["prompt"].values[rows]
    hashes = prompts["prompt"].values[place]
    frame.insert(2, "situation", [known[each].prompt if each in known else str(each) for each in hashes])
    frame.insert(3, "group", prompts["group"].values[place])
    frame["hash"] = hashes
    controls = cells["control_effect"].values[rows].astype(np.float64)
    there = np.isfinite(controls)
    total, n = np.where(there, controls, 0.0).sum(axis=1), there.sum(axis=1)
    frame["control_mean"] = np.divide(total, n, out=np.full(len(n), np.nan), where=n > 0)
    return frame[frame["flip"]].reset_index(drop=True) if filters.flips else frame


def curves_frame(curves: xr.Dataset, behaviour: str, experiment: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """F(k) of every circuit on a behaviour's prompts, and the band of random circuits.

    Returns
    -------
    tuple
        Columns order (whose circuit), k, fraction, low, high, random; and k, low, high. Empty where no share
        is known.
    """
    one = curves.sel(behaviour=behaviour, experiment=experiment)
    band = pd.DataFrame(
        {"k": one["k"].values, "low": one["random_low"].values, "high": one["random_high"].values}
    )
    parts = [
        pd.DataFrame(
            {
                "order": circuit_words(str(circuit), behaviour),
                "k": one["k"].values,
                **{name: one[name].sel(circuit=circuit).values for name in ("fraction", "low", "high")},
                "random": one["random_mean"].values,
            }
        )
        for circuit in one["circuit"].values
    ]
    frame = pd.concat(parts, ignore_index=True)
    known = frame["fraction"].notna()
    return frame[known].reset_index(drop=True), band if known.any() else band.iloc[:0]


def circuit_words(circuit: str, behaviour: str) -> str:
    """Whose circuit, in words."""
    return OWN if circuit == behaviour else f"null: {circuit}"


def layers_frame(layers: xr.Dataset, behaviours: Sequence[str]) -> pd.DataFrame:
    """A row a behaviour, part and layer: the share of the partner's change, and of its flips, it carries."""
    frame = layers[["share", "low", "high", "flips"]].to_dataframe().reset_index()
    frame["layer"] = ["all layers" if site < 0 else f"L{site}" for site in frame["site"]]
    counts = layers[["n_prompts", "n_flips"]].to_dataframe()
    frame = frame.join(counts, on="behaviour")
    return frame[frame["behaviour"].isin(behaviours)].reset_index(drop=True)


def importance_frame(
    table: xr.Dataset, names: Mapping[tuple[int, int], str], filters: Filters, n: int
) -> pd.DataFrame:
    """The n features whose activation goes with the contrast most, of those that were tested."""
    frame = pd.DataFrame({str(name): array.values for name, array in table.variables.items()})
    kept = frame["behaviour"].isin(filters.behaviours) & frame["p"].notna()
    if filters.layer is not None:
        kept &= frame["layer"] == filters.layer
    frame = frame[kept]
    first = frame["correlation"].abs().sort_values(ascending=False, kind="stable").index[:n]
    frame = frame.loc[first].reset_index(drop=True)
    places = zip(frame["layer"], frame["index"], strict=True)
    frame.insert(0, "feature", [_feature(names, int(layer), int(index)) for layer, index in places])
    return frame
