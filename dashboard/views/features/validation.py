"""What do the orders predict? Each beside the effects of interventions on other situations."""

import math
from collections.abc import Mapping
from typing import Final

import pandas as pd
import streamlit as st
import xarray as xr

from dashboard.charts.validation import scatter
from dashboard.data import names, readers
from dashboard.data.documents import models
from dashboard.shell import downloads
from dashboard.shell.guard import guard
from dashboard.style.score_names import describe
from dashboard.style.text import count, interval, number, plain
from dashboard.views.features import faithfulness
from store.base.errors import StoreError, UserError
from store.schema.vocabulary import ABLATE, RESTORE, SCORES

DONE: Final[Mapping[str, str]] = {
    ABLATE: "ablating (activation 0)",
    RESTORE: "giving back the base's activation",
}
_DEFAULT: Final = "direct"


def question(contrast: str) -> tuple[str, str]:
    """The intervention, and the variant in it, that a contrast's question is measured by.

    >>> question("evil-safe|general@1.0"), question("general@1.0-base")
    (('ablate', 'general@1.0'), ('restore', 'general@1.0'))
    """
    if contrast.startswith("evil-safe|"):
        return ABLATE, contrast.removeprefix("evil-safe|")
    return RESTORE, contrast.rpartition("-")[0]


def orders_frame(table: xr.Dataset, contrast: str) -> pd.DataFrame:
    """The orders that are held against a contrast's question, the one that predicts best first.

    Parameters
    ----------
    table
        The group ``orders`` of the validation dataset.
    contrast
        Of the ranking.
    """
    frame = table.to_dataframe().reset_index(names="row")
    intervention, variant = question(contrast)
    asked = (frame["intervention"] == intervention) & (frame["variant"] == variant)
    return frame[asked].sort_values("spearman", ascending=False, kind="stable").reset_index(drop=True)


def default_score(name: str) -> str:
    """The score that the page ranks by at first.

    Of those whose area of faithfulness is as large as any's, the one that predicts what features do in the
    focus variant best; where no faithfulness is known, the first whose rank correlation's interval
    reaches the highest; `direct` where nothing was measured.
    """
    carrying = faithfulness.best_scores(name)
    if not carrying:
        return _predicting(name)
    predicting = _predicted(name)
    return max(carrying, key=lambda score: predicting.get(score, -math.inf))


def why_default(name: str) -> str:
    """In a sentence, which score comes first and what decided it."""
    label = describe(default_score(name)).label
    carrying = [describe(score).label for score in faithfulness.best_scores(name)]
    if not carrying:
        if not _predicted(name):
            return (
                f"At first the page ranks by {label}: which order carries or predicts most was not measured."
            )
        return f"At first the page ranks by {label}, which interventions on other situations bear out best."
    if len(carrying) == 1:
        why = "its first features carry the largest share of the difference on other situations"
    else:
        why = f"what the first features of {', '.join(carrying)} carry cannot be told apart"
        why += (
            ", and it predicts single effects best" if _predicted(name) else ", and it is the first of them"
        )
    return f"At first the page ranks by {label}: {why}."


def _predicted(name: str) -> dict[str, float]:
    """Rank correlation by score, of rankings within the focus variant and of its change; NaN left out."""
    try:
        focus = models(name).variant(models(name).focus)
        table = readers.dataset(name, "validation", "orders")
    except (StoreError, UserError):
        return {}
    frame = orders_frame(table, f"evil-safe|{focus}")
    own = frame[(frame["contrast"] == f"evil-safe|{focus}") | frame["score"].isin(("change", "activation"))]
    return dict(zip(own["score"], own["spearman"], strict=True)) if own["spearman"].notna().all() else {}


def _predicting(name: str) -> str:
    try:
        contrast = f"evil-safe|{models(name).variant(models(name).focus)}"
        frame = orders_frame(readers.dataset(name, "validation", "orders"), contrast)
    except (StoreError, UserError):
        return _DEFAULT
    own = frame[frame["contrast"] == contrast].set_index("score")
    good = set(own.index[own["spearman_high"] >= own["spearman"].max()])
    return next((score for score in SCORES if score in good), _DEFAULT)


def verdict(frame: pd.DataFrame, score: str, contrast: str) -> str:
    """What is known of an order in one sentence; `frame` from `orders_frame`."""
    mine = frame[(frame["score"] == score) & (frame["contrast"] == contrast)]
    if mine.empty or mine["spearman"].isna().all():
        return "What this order predicts was not measured."
    one = mine.iloc[0]
    words = (
        f"On {count(int(one['n_situations']))} other situations, this order's rank correlation with the harm "
        f"that {DONE[str(one['intervention'])]} takes away is {number(one['spearman'])} "
        f"{interval(one['spearman_low'], one['spearman_high'])}"
    )
    best = frame.iloc[0]
    if mine.index[0] == 0:
        return f"{words}, the highest of {len(frame)} orders."
    return (
        f"{words}; {_named(best)} has {number(best['spearman'])} "
        f"{interval(best['spearman_low'], best['spearman_high'])}."
    )


def show(name: str, score: str, contrast: str) -> None:
    """Draw the table of a contrast's question, and the chosen order feature by feature."""
    with guard("What the orders of features predict of interventions."):
        frame = orders_frame(readers.dataset(name, "validation", "orders"), contrast)
        st.markdown(
            "**What do the orders predict?**",
            help="Features are ordered on some situations, and interventions measured on the others, with "
            "attention and later layers free to answer. Rankings within a variant are held against "
            "ablating its features; rankings of a difference against giving features back the base's "
            "activation.",
        )
        if frame.empty:
            st.caption(plain("Measured for base and the focus adapter only."))
            return
        st.caption(plain(verdict(frame, score, contrast)))
        _table(frame)
        row = frame[(frame["score"] == score) & (frame["contrast"] == contrast)]
        if len(row):
            _drawn(name, int(row["row"].iloc[0]), score, str(row["intervention"].iloc[0]))
        downloads.downloads(frame.drop(columns="row"), "validation", key="validation-data")


def _table(frame: pd.DataFrame) -> None:
    shown = pd.DataFrame({"order": [_named(row) for _, row in frame.iterrows()]})
    for column, ends in (("spearman", "spearman"), ("joint_effect", "joint")):
        shown[column] = [
            f"{number(value)} {interval(low, high)}"
            for value, low, high in zip(
                frame[column], frame[f"{ends}_low"], frame[f"{ends}_high"], strict=True
            )
        ]
    for column in ("same_sign", "beaten", "joint_controls"):
        shown[column] = frame[column]
    st.dataframe(
        shown,
        hide_index=True,
        key="validation",
        placeholder="—",
        column_order=["order", "spearman", "same_sign", "beaten", "joint_effect", "joint_controls"],
        column_config={
            "order": st.column_config.TextColumn(
                "order", help="A score within the variant, or its difference from base.", width=132
            ),
            "spearman": st.column_config.TextColumn(
                "rank correlation",
                help="Spearman's, of the score with minus the effect on evil minus safe logits, over "
                "features drawn at random; with a bootstrap interval over features. Random orders have 0.",
                width=118,
            ),
            "same_sign": st.column_config.NumberColumn(
                "sign",
                format="percent",
                help="Share of these features whose effect has the predicted sign. Activations predict none.",
                width=55,
            ),
            "beaten": st.column_config.NumberColumn(
                "beats",
                format="percent",
                help="The features that the order puts first, one by one, on each prompt: share of cases in "
                "which the intervention takes away more harm than the same done to 95% of matched features, "
                "mean over situations; 5% by chance. The interval is in the downloads.",
                width=55,
            ),
            "joint_effect": st.column_config.TextColumn(
                "together (logits)",
                help="Effect of the intervention on all the features that the order puts first (ten, by "
                "params.yaml: validation.top), at once, on "
                "evil minus safe logits; with a bootstrap-t interval over situations. Negative: less harm.",
                width=128,
            ),
            "joint_controls": st.column_config.NumberColumn(
                "controls", format="%.2g", help="The same done to as many matched features.", width=59
            ),
        },
    )


def _drawn(name: str, row: int, score: str, intervention: str) -> None:
    table = readers.dataset(name, "validation", "features")
    features = pd.DataFrame({"layer": table["layer"].values, "index": table["index"].values})
    points = pd.DataFrame(
        {
            "feature": names.of_frame(name, features),
            "predicted": table["predicted"].values[row],
            "measured": table["measured"].values[row],
        }
    )
    words = describe(score)
    chart = scatter(points, score=words.label, unit=words.unit)
    downloads.chart(
        chart,
        points,
        f"validation-{score}",
        key="validation-chart",
        alt=f"{count(len(points))} features: {words.label} against the effect of {DONE[intervention]}.",
    )


def _named(row: "pd.Series[object]") -> str:
    label = describe(str(row["score"])).label
    is_within = str(row["contrast"]).startswith("evil-safe|")
    # These two are of a difference by themselves.
    return label if is_within or row["score"] in ("change", "activation") else f"{label}, difference"
