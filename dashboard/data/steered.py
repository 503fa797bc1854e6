"""What steering did to answers, as frames: a row an entry, the candidates' leaderboard, the random band."""

from typing import Any, Final

import numpy as np
import pandas as pd

from dashboard.data import names, readers
from dashboard.data.tables import level_words
from dashboard.style.text import feature_name, named
from pipeline.analysis.steered_tables import held_against
from store.base.errors import StoreError
from store.schema.steered import (
    ABLATED,
    BASELINE,
    FEATURE,
    MEAN_DIFFERENCE,
    NULL_FEATURE,
    RANDOM_DIRECTION,
    RANDOM_FEATURE,
    RANDOM_SET,
    SET,
    STEERED,
)

CANDIDATES: Final = (FEATURE, SET)
_LOST: Final = "lost_"

KIND_WORDS: Final = {
    BASELINE: "as it is",
    FEATURE: "feature",
    SET: "set",
    RANDOM_FEATURE: "random feature",
    RANDOM_SET: "random set",
    RANDOM_DIRECTION: "random direction",
    NULL_FEATURE: "feature of a null adapter",
    MEAN_DIFFERENCE: "mean difference",
}


def params(profile: str) -> dict[str, Any]:
    """The stage's parameters, as they were."""
    found: dict[str, Any] = readers.provenance(profile, STEERED.kind)["parameters"]["steered"]
    return found


def level(profile: str) -> str:
    """The intervals in words: ``95% interval``."""
    return level_words(readers.provenance(profile, STEERED.kind), "steered")


def entries(profile: str, side: str) -> pd.DataFrame:
    """All entries of a side, candidates first in their order, then what they are held against.

    Returns
    -------
    pd.DataFrame
        The columns of the group `entries`, `lost_` and a behaviour for each, `called` (what it is, names
        beside), `features` (layers and indices), and `layer_of`, `index_of` of its first feature (-1: none).
    """
    table = readers.dataset(profile, STEERED.kind, "entries").to_dataframe().reset_index(names="row")
    table = table.assign(**_lost(profile))
    members = readers.dataset(profile, STEERED.kind, "members").to_dataframe()
    known = names.of_features(profile)
    of_entry = {int(place): part for place, part in members.groupby("entry")}
    columns: dict[str, list[Any]] = {
        name: [] for name in ("called", "features", "layer_of", "index_of", "value")
    }
    for row, kind, layer in zip(table["row"], table["kind"], table["layer"], strict=True):
        part = of_entry.get(int(row))
        own = (
            []
            if part is None
            else list(zip(part["layer"].astype(int), part["index"].astype(int), strict=True))
        )
        columns["features"].append(", ".join(feature_name(a, b) for a, b in own))
        columns["called"].append(_called(kind, int(layer), own, known))
        first = own[0] if own else (-1, -1)
        columns["layer_of"].append(first[0])
        columns["index_of"].append(first[1])
        columns["value"].append(np.nan if part is None else float(part["value"].iloc[0]))
    frame = table.assign(**columns)
    mine = frame[frame["side"] == side]
    place = np.where(mine["kind"].isin(CANDIDATES), mine["place"].replace(0, 10**6), 10**7)
    return mine.iloc[np.argsort(place, kind="stable")].reset_index(drop=True)


def behaviours(frame: pd.DataFrame) -> list[str]:
    """Behaviours of which `entries` tell what is lost."""
    return [str(name).removeprefix(_LOST) for name in frame.columns if str(name).startswith(_LOST)]


def _lost(profile: str) -> dict[str, np.ndarray]:
    """By column, what of each behaviour is lost under each entry; older artifacts tell none."""
    try:
        table = readers.dataset(profile, STEERED.kind, "abilities")
    except StoreError:
        return {}
    lost = table["ability_lost"].values
    return {f"{_LOST}{name}": lost[:, at] for at, name in enumerate(table["ability"].values)}


def _called(kind: str, layer: int, own: list[tuple[int, int]], known: Any) -> str:
    if not own:
        where = f" behind layer {layer}" if layer >= 0 else ""
        return f"{KIND_WORDS.get(kind, kind)}{where}"
    first = named(known, own[0])
    return first if len(own) == 1 else f"{len(own)} together: {first}, …"


def band(frame: pd.DataFrame, kind: str, size: int) -> tuple[float, float, int]:
    """The 5% and 95% quantiles of the effects that entries of a kind and size are held against; how many.

    `frame` is of one side.
    """
    side = "" if frame.empty else str(frame["side"].iloc[0])
    like = frame["kind"].isin(held_against(side, kind)) & (frame["size"] == size)
    random = frame[like & frame["effect"].notna()]["effect"]
    if random.empty:
        return np.nan, np.nan, 0
    return float(random.quantile(0.05)), float(random.quantile(0.95)), len(random)


def leaderboard(frame: pd.DataFrame, fdr: float) -> pd.DataFrame:
    """Candidates and the mean difference, largest effect first, with the band of random ones beside.

    Columns of `entries`, `random_low`, `random_high`, `n_random`, and `found`: q is below a level, and the
    interval above 0.
    """
    mine = frame[frame["kind"].isin((*CANDIDATES, MEAN_DIFFERENCE, NULL_FEATURE))]
    asked = list(zip(mine["kind"], mine["size"], strict=True))
    bands = {each: band(frame, *each) for each in dict.fromkeys(asked)}
    own = [bands[each] for each in asked]
    found = mine.assign(
        found=(mine["q"] <= fdr) & (mine["low"] > 0),
        random_low=[each[0] for each in own],
        random_high=[each[1] for each in own],
        n_random=[each[2] for each in own],
        what=[KIND_WORDS[kind] for kind in mine["kind"]],
    )
    return found.sort_values("effect", ascending=False, kind="stable", na_position="last").reset_index(
        drop=True
    )


def baseline(frame: pd.DataFrame) -> pd.Series | None:
    """The variant as it is; None where nothing was measured."""
    mine = frame[(frame["kind"] == BASELINE) & (frame["n_judged"] > 0)]
    return None if mine.empty else mine.iloc[0]


def repairs(side: str) -> bool:
    """Whether a side's effect is of answers that are coherent and not misaligned."""
    return side == ABLATED
