"""Trials and their cells as frames, filtered alike for every panel; no Streamlit here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr

from dashboard.style.text import named
from pipeline.analysis.against_controls import mean_of_controls
from pipeline.analysis.effect_profiles import clusters
from pipeline.analysis.intervention_predictions import followed
from store.schema.vocabulary import ABLATION, FROZEN, GIVEN, IMPORTANCE, PREDICTING, TAKEN

ALL: Final = "all"
_WORDS: Final = ("experiment", "variant", "frozen")
_TESTED: Final = ("low", "high", "p_controls", "p_labels", "q", "verdict")
"""What is stored over all domains, and known of no single one."""
_SHARES: Final = {"share": "fraction", "low": "low", "high": "high"}
_OF_CELL: Final = (
    *("baseline", "intervened", "effect", "effect_log_probability", "relative", "flip"),
    *("before", "after", "n_positions", "p"),
)


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What every panel shows: one experiment in one variant, some layers, some prompts."""

    experiment: str
    variant: str
    frozen: str
    layer: int | None = None
    domain: str = ALL


def trials_frame(
    table: xr.Dataset, cells: xr.Dataset, names: Mapping[tuple[int, int], str], domain: str = ALL
) -> pd.DataFrame:
    """All trials, a row each: what was done, its mean effect over a domain's situations, and its tests.

    Parameters
    ----------
    table, cells
        The groups ``trials`` and ``cells`` of the interventions dataset.
    names
        Of features.
    domain
        Of which prompts; of one domain there are means, and no tests.
    """
    columns = [name for name, array in table.variables.items() if array.dims == ("trial",)]
    frame = pd.DataFrame({str(name): table[name].values for name in columns})
    frame.insert(0, "trial", np.arange(len(frame)))
    frame.insert(
        1,
        "feature",
        [_feature(names, *row) for row in _columns(frame, "layer", "index", "second_layer", "second_index")],
    )
    frame["setting"] = [_setting(*row) for row in _columns(frame, "experiment", "value", "from_end")]
    if domain != ALL and len(frame):
        chosen = cells["domain"].values.astype(str) == domain
        situation = cells["situation"].values[chosen]
        for name in ("baseline", "effect", "effect_log_probability"):
            values = pd.DataFrame(cells[name].values[:, chosen].T).groupby(situation).mean()
            frame[name] = values.mean(axis=0).to_numpy()
        frame["flips"] = cells["flip"].values[:, chosen].mean(axis=1)
        frame["n_acting"] = (cells["n_positions"].values[:, chosen] > 0).sum(axis=1)
        frame["control_mean"] = mean_of_controls(
            cells["control_effect"].values[:, chosen].astype(np.float64),
            cells["n_positions"].values[:, chosen] > 0,
            np.unique(situation.astype(str), return_inverse=True)[1],
        )
        frame["n_situations"] = len(set(situation))
        for name in _TESTED:
            frame[name] = "" if name == "verdict" else np.nan
    return frame


def chosen(frame: pd.DataFrame, filters: Filters, *, every: tuple[str, ...] = ()) -> pd.DataFrame:
    """The trials that filters leave; filters on the columns `every` are not applied."""
    wanted = {name: getattr(filters, name) for name in _WORDS if name not in every}
    keep = np.ones(len(frame), bool)
    for name, value in wanted.items():
        keep &= (frame[name] == value).to_numpy()
    if filters.layer is not None:
        keep &= (frame[["layer", "second_layer"]] == filters.layer).any(axis=1).to_numpy()
    return frame[keep].reset_index(drop=True)


def cells_frame(cells: xr.Dataset, trials: pd.DataFrame, domain: str = ALL) -> pd.DataFrame:
    """What each of some trials did on each prompt of a domain, a row each."""
    prompts = np.arange(cells.sizes["prompt"])
    if domain != ALL:
        prompts = prompts[cells["domain"].values.astype(str) == domain]
    rows = trials["trial"].to_numpy(np.int64)
    at = np.ix_(rows, prompts)
    frame = pd.DataFrame({name: cells[name].values[at].ravel() for name in _OF_CELL})
    frame["control_mean"] = _known_mean(cells["control_effect"].values[at]).ravel()
    for name in ("prompt", "situation", "domain"):
        frame[name] = np.tile(cells[name].values[prompts].astype(str), len(rows))
    for name in ("trial", "feature", "setting"):
        frame[name] = np.repeat(trials[name].to_numpy(), len(prompts))
    return frame


def predictions_frame(cells: xr.Dataset, trials: pd.DataFrame, score: str, domain: str = ALL) -> pd.DataFrame:
    """What a score predicted of trials on prompts, where it says anything, and what came of it."""
    frame = cells_frame(cells, trials, domain)
    column = PREDICTING.index(score)
    prompts = np.ones(cells.sizes["prompt"], bool)
    if domain != ALL:
        prompts = cells["domain"].values.astype(str) == domain
    values = cells["predicted"].values[trials["trial"].to_numpy(np.int64)][:, prompts, column]
    frame["predicted"] = values.ravel()
    frame["frozen"] = np.repeat(trials["frozen"].to_numpy(), int(prompts.sum()))
    found: pd.DataFrame = frame[frame["predicted"].notna()]
    return found.reset_index(drop=True)


def agreement_frame(points: pd.DataFrame) -> pd.DataFrame:
    """How measured effects follow predicted ones, a row what is frozen; `points` from `predictions_frame`.

    Means over situations, as stage `interventions` has them, of those points alone: without intervals.
    """
    rows = []
    for frozen in [one for one in FROZEN if one in set(points["frozen"])]:
        of = points[points["frozen"] == frozen]
        x, y = (
            of.pivot_table(index="trial", columns=["domain", "situation"], values=name, dropna=False)
            for name in ("predicted", "effect")
        )
        rows.append({"frozen": frozen, **followed(x.to_numpy(), y.to_numpy())})
    return pd.DataFrame(rows, columns=["frozen", "slope", "spearman", "same_sign", "n_cells"])


def positions_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Trials at one position: feature, layer, from_end, effect; the others are left out."""
    columns = ["feature", "layer", "from_end", "effect", "control_mean", "n_acting", "q"]
    found: pd.DataFrame = frame.loc[frame["experiment"] == IMPORTANCE, columns]
    return found.reset_index(drop=True)


def silent_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Features that were chosen for their score and whose ablation does nothing of size, free of anything."""
    found: pd.DataFrame = frame[
        (frame["experiment"] == ABLATION) & (frame["frozen"] == "nothing") & (frame["verdict"] == "silent")
    ]
    return found.reset_index(drop=True)


def profiles_frame(cells: pd.DataFrame, n: int) -> pd.DataFrame:
    """Effects by feature and prompt, with each feature's place and cluster.

    `cells` from `cells_frame`; of trials of one experiment and setting.
    """
    wide = cells.pivot_table(index="feature", columns="prompt", values="effect", sort=False)
    order, cluster = clusters(wide.fillna(0.0).to_numpy(), n)
    place = pd.DataFrame({"feature": wide.index, "cluster": cluster, "place": np.argsort(order)})
    found: pd.DataFrame = cells.merge(place, on="feature").sort_values("place", kind="stable")
    return found.reset_index(drop=True)


def parts_frame(table: xr.Dataset, *, given: bool) -> pd.DataFrame:
    """Columns part, share, low, high: whole parts of every layer, given to base or taken from the adapted.

    `table` is the group ``parts`` of the faithfulness dataset.
    """
    row = list(table["direction"].values).index(GIVEN if given else TAKEN)
    words = [" + ".join(str(part).split("+")) for part in table["part"].values]
    values = {column: table[name].values[row] for column, name in _SHARES.items()}
    return pd.DataFrame({"part": words, **values})


def _columns(frame: pd.DataFrame, *names: str) -> list[tuple[object, ...]]:
    return list(zip(*(frame[name].tolist() for name in names), strict=True))


def _feature(names: Mapping[tuple[int, int], str], *places: object) -> str:
    layer, index, second_layer, second = (int(str(place)) for place in places)
    one = named(names, (layer, index))
    return one if second < 0 else f"{one} + {named(names, (second_layer, second))}"


def _setting(experiment: object, value: object, from_end: object) -> str:
    """What tells trials of one experiment and feature apart.

    >>> _setting("dose_response", 5.0, -1), _setting("importance", float("nan"), 0)
    ('times 5', 'last token')
    """
    times, place = float(str(value)), int(str(from_end))
    if np.isfinite(times):
        return f"times {times if experiment == 'dose_response' else -times:g}"
    if experiment == IMPORTANCE:
        return "last token" if place == 0 else f"{place} before the last"
    return ""


def _known_mean(values: np.ndarray) -> np.ndarray:
    """Means of what is known of the last axis; NaN where nothing is."""
    known = np.isfinite(values)
    n = known.sum(axis=-1)
    total = np.where(known, values, 0.0).sum(axis=-1)
    found: np.ndarray = np.divide(total, n, out=np.full(n.shape, np.nan), where=n > 0)
    return found
