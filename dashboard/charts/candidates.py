"""Candidates of two variants as one paired bar chart."""

from collections.abc import Mapping
from typing import Any

import altair as alt
import pandas as pd

from dashboard.charts.common import AXIS, LEGEND, finish, ink
from dashboard.style.text import number, visible
from dashboard.style.theme import FAINT, LABEL_GLYPHS, LABEL_INKS


def rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Add what the chart writes: a unique row label (glyph, visible text) and the number.

    Parameters
    ----------
    frame
        Columns token (id), text, label, variant, probability.
    """
    shown = frame["label"].map(LABEL_GLYPHS) + " " + frame["text"].map(visible)
    # Different tokens can look alike; the id keeps them apart.
    tokens = frame.assign(shown=shown).groupby("shown")["token"].transform("nunique")
    return frame.assign(
        row=shown.where(tokens == 1, shown + " #" + frame["token"].astype(str)),
        written=frame["probability"].map(number),
    )


def label_axis() -> alt.Axis:
    """Axis of row labels; the glyph in front decides a label's colour."""
    tests = [
        {"test": f"substring(datum.value, 0, 1) == '{LABEL_GLYPHS[label]}'", **ink(colour).to_dict()}
        for label, colour in LABEL_INKS.items()
    ]
    return alt.Axis(
        labelFontSize=13,
        labelFontWeight="bold",
        labelPadding=6,
        ticks=False,
        domain=False,
        labelColor={"condition": tests[:-1], "expr": tests[-1]["expr"]},
    )


def token_tooltip(of: alt.Tooltip) -> list[alt.Tooltip]:
    """What a token's probability says on hover; `of` says whose or when it is."""
    return [
        alt.Tooltip("row:N", title="token"),
        alt.Tooltip("token:Q", title="token id"),
        alt.Tooltip("label:N", title="token label"),
        of,
        alt.Tooltip("written:N", title="probability"),
    ]


def paired(frame: pd.DataFrame, variants: tuple[str, str], colours: Mapping[str, str]) -> Any:
    """Bars of both variants by candidate; the label's colour and glyph say evil or safe.

    Parameters
    ----------
    frame
        Columns token, text, label, variant, probability (NaN: not traced there).
    variants
        Left and right variant.
    colours
        Colour of each variant.
    """
    data = rows(frame)
    names = list(dict.fromkeys(variants))
    order = data.groupby("row")["probability"].max().sort_values(ascending=False).index.to_list()
    data["row"] = pd.Categorical(data["row"], categories=order)
    data = data.sort_values("row").astype({"row": str})
    y = alt.Y("row:N", sort=order, title=None, axis=label_axis(), scale=alt.Scale(paddingInner=0.25))
    base = alt.Chart(data).encode(
        y=y,
        yOffset=alt.YOffset("variant:N", sort=names, scale=alt.Scale(paddingInner=0.05)),
        tooltip=token_tooltip(alt.Tooltip("variant:N")),
    )
    top = max(float(data["probability"].max()), 1e-6)
    bars = base.mark_bar(cornerRadiusEnd=2).encode(
        x=alt.X(
            "probability:Q",
            title="probability of the next token",
            scale=alt.Scale(domain=(0, top * 1.14)),
            axis=alt.Axis(tickCount=5, format="~g"),
        ),
        color=alt.Color(
            "variant:N",
            scale=alt.Scale(domain=names, range=[colours[variant] for variant in names]),
        ),
    )
    text = base.mark_text(align="left", dx=4, fontSize=11, color=ink(FAINT)).encode(
        x="probability:Q", text="written:N"
    )
    return finish(alt.layer(bars, text), height=20 * len(names) * len(order) + AXIS + LEGEND)
