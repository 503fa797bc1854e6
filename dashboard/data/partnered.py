"""Interventions along partners, and what circuits of behaviours carry, as frames; no Streamlit here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr

from dashboard.style.text import named
from store.documents.behaviour_prompts import BehaviourPrompt

ALL: Final = "all"
WHOLE_LAYER: Final = "all features"
WHOLE: Final = "layer"
"""Whose feature, of all of a layer."""
OWN: Final = "its own"
"""Whose circuit."""
_WHOLE: Final = -1
_OF_CELL: Final = (
    *("baseline", "intervened", "effect", "effect_log_probability", "relative", "flip", "before", "after"),
    *("n_positions", "p"),
)


@dataclass(frozen=True, kw_only=True)
class Place:
    """Which features are shown.

    Attributes
    ----------
    layer, supernode
        Theirs; None: all.
    least
        Smaller effects, in logits, are left out.
    """

    layer: int | None = None
    supernode: int | None = None
    least: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What every panel shows.

    Attributes
    ----------
    behaviours
        Of whose prompts.
    experiment
        What is done.
    place
        What it is done to.
    supernodes
        Of features by behaviour, layer and index, in the behaviour's own circuit.
    flips
        Only what turns a contrast's sign.
    prompt, feature
        This one alone, by hash, and by layer and index; None: all.
    """

    behaviours: Sequence[str]
    experiment: str
    place: Place = field(default_factory=Place)
    supernodes: Mapping[tuple[str, int, int], int] = field(default_factory=dict)
    flips: bool = False
    prompt: str | None = None
    feature: tuple[int, int] | None = None

    def kept(self, frame: pd.DataFrame) -> pd.Series:
        """Rows of a frame with columns behaviour, layer and index that are of what is shown."""
        kept = frame["behaviour"].isin(self.behaviours)
        if self.place.layer is not None:
            kept &= frame["layer"] == self.place.layer
        if self.feature is not None:
            kept &= (frame["layer"] == self.feature[0]) & (frame["index"] == self.feature[1])
        if self.place.supernode is not None:
            keys = zip(
                frame["behaviour"], frame["layer"].astype(int), frame["index"].astype(int), strict=True
            )
            kept &= np.array([self.supernodes.get(key) == self.place.supernode for key in keys], bool)
        return kept


def trials_frame(table: xr.Dataset, names: Mapping[tuple[int, int], str], filters: Filters) -> pd.DataFrame:
    """Trials that the filters leave, whole layers first: what was done, its mean effect, and its tests."""
    frame = every_experiment(table, names, filters)
    return frame[frame["experiment"] == filters.experiment].reset_index(drop=True)


def every_experiment(
    table: xr.Dataset, names: Mapping[tuple[int, int], str], filters: Filters
) -> pd.DataFrame:
    """The same of every experiment."""
    frame = pd.DataFrame({str(name): array.values for name, array in table.variables.items()})
    frame.insert(0, "trial", np.arange(len(frame)))
    places = zip(frame["layer"], frame["index"], strict=True)
    frame.insert(1, "feature", [_feature(names, int(layer), int(index)) for layer, index in places])
    frame["whose"] = [
        WHOLE if not circuit else ("own" if circuit == behaviour else f"null: {circuit}")
        for circuit, behaviour in zip(frame["circuit"], frame["behaviour"], strict=True)
    ]
    kept = filters.kept(frame) & ~(frame["effect"].abs() < filters.place.least)
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
    kept = np.ones(len(frame), bool)
    if filters.flips:
        kept &= frame["flip"].to_numpy(bool)
    if filters.prompt is not None:
        kept &= hashes == filters.prompt
    return frame[kept].reset_index(drop=True)


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


def layers_frame(layers: xr.Dataset, filters: Filters) -> pd.DataFrame:
    """A row a behaviour, part and layer: the share of the partner's change, and of its flips, it carries."""
    frame = layers[["share", "low", "high", "flips"]].to_dataframe().reset_index()
    frame["layer"] = ["all layers" if site < 0 else f"L{site}" for site in frame["site"]]
    counts = layers[["n_prompts", "n_flips"]].to_dataframe()
    frame = frame.join(counts, on="behaviour")
    kept = frame["behaviour"].isin(filters.behaviours)
    if filters.place.layer is not None:
        kept &= frame["site"].isin([filters.place.layer, _WHOLE])
    return frame[kept].reset_index(drop=True)


def importance_frame(
    table: xr.Dataset, names: Mapping[tuple[int, int], str], filters: Filters, n: int
) -> pd.DataFrame:
    """The n features whose activation goes with the contrast most, of those that were tested."""
    frame = pd.DataFrame({str(name): array.values for name, array in table.variables.items()})
    frame = frame[filters.kept(frame) & frame["p"].notna()]
    first = frame["correlation"].abs().sort_values(ascending=False, kind="stable").index[:n]
    frame = frame.loc[first].reset_index(drop=True)
    places = zip(frame["layer"], frame["index"], strict=True)
    frame.insert(0, "feature", [_feature(names, int(layer), int(index)) for layer, index in places])
    return frame
