"""Acting beside harm: the column of what a feature does where acting harms nobody, and why it is empty."""

from typing import Any, Final

import numpy as np
import pandas as pd
import streamlit as st
import xarray as xr

from dashboard.style.text import count, interval

COLUMNS: Final = ("acting", "acting_interval", "acting_share")


def beside(frame: pd.DataFrame, acting: xr.Dataset | None, score: str) -> pd.DataFrame:
    """A ranking with `COLUMNS`, empty where nothing is known; the share of the score `direct` alone."""
    rows = frame["row"].to_numpy()
    unknown = np.full(len(rows), np.nan)
    effect = low = high = unknown
    if acting is not None:
        effect, low, high = (
            acting[name].values[rows].astype(np.float64) for name in ("effect", "low", "high")
        )
    of = frame["effect"].to_numpy(np.float64)
    comparable = (of != 0) if score == "direct" else np.zeros(len(rows), bool)
    return frame.assign(
        acting=effect,
        acting_interval=[interval(a, b) for a, b in zip(low, high, strict=True)],
        acting_share=np.divide(effect, of, out=unknown.copy(), where=comparable),
    )


def shown(frame: pd.DataFrame) -> list[str]:
    """The columns that the table has: those that are known of any feature."""
    return [name for name in COLUMNS if frame["acting"].notna().any() and frame[name].notna().any()]


def columns(tag: str | None) -> dict[str, Any]:
    """How the table draws them."""
    return {
        "acting": st.column_config.NumberColumn(
            "acting",
            format="%.3g",
            width=74,
            help="Direct effect on tokens that begin to act minus on those that begin not to, in logits: "
            f"mean over situations of the prompts with the tag {tag}, where acting harms nobody. A feature "
            "whose acting is as large as its effect may be about acting, not about harm.",
        ),
        "acting_interval": st.column_config.TextColumn(
            "its interval", width=112, help="Bootstrap-t interval of acting over situations."
        ),
        "acting_share": st.column_config.NumberColumn(
            "of effect",
            format="%.2g",
            width=66,
            help="Acting by effect, of the score direct: 1 where acting explains all of it, 0 where none.",
        ),
    }


def words(acting: xr.Dataset | None, tag: str | None, least: int) -> str:
    """Why the column is empty; else what it rests on."""
    untold = "Acting is not told apart from harm"
    if acting is None:
        return f"{untold}: the store's rankings are of an older version; `dvc repro` makes them anew."
    if tag is None:
        return f"{untold}: params.yaml names no features.confound_tag."
    if not int(acting["n_scored"]) + int(acting["n_left_out"]):
        return f"{untold}: no prompt with the tag {tag} was traced with these variants."
    situations = int(acting["n_situations"])
    if situations < least:
        return (
            f"{untold}: {count(situations)} situations with the tag {tag} have tokens of both labels, and "
            f"features.min_situations is {count(least)}."
        )
    return f"Acting is of {count(situations)} situations with the tag {tag}, in no ranking."
