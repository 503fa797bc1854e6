"""Charts of one feature's card."""

from collections.abc import Mapping
from typing import Any

import altair as alt
import pandas as pd

from dashboard.charts.common import AXIS, LEGEND, domain_with_zero, finish
from dashboard.style.text import number, visible
from dashboard.style.theme import NEGATIVE, NEUTRAL, POSITIVE


def histogram(frame: pd.DataFrame, colours: Mapping[str, str]) -> Any:
    """Non-zero activations on held-out text, by variant.

    Parameters
    ----------
    frame
        Columns variant, low, high (bin edges, activation) and tokens (count).
    colours
        Colour of each variant, in the order of the legend.
    """
    active = frame[frame["tokens"] > 0]
    variants = [variant for variant in colours if (active["variant"] == variant).any()]
    frame = frame[frame["variant"].isin(variants)]
    data = frame.assign(
        bin=[f"{number(a)} to {number(b)}" for a, b in zip(frame["low"], frame["high"], strict=True)],
        middle=(frame["low"] * frame["high"]).clip(lower=1e-12) ** 0.5,
    )
    chart = (
        alt.Chart(data)
        .mark_line(interpolate="step", strokeWidth=1.8, point=False)
        .encode(
            x=alt.X("middle:Q", title="activation (log scale)", scale=alt.Scale(type="log", nice=False)),
            y=alt.Y("tokens:Q", title="tokens of held-out text"),
            color=alt.Color(
                "variant:N", scale=alt.Scale(domain=variants, range=[colours[v] for v in variants])
            ),
            strokeDash=alt.StrokeDash("variant:N", sort=variants),
            tooltip=["variant:N", alt.Tooltip("bin:N", title="activation"), "tokens:Q"],
        )
    )
    return finish(chart, height=350)


def promoted(frame: pd.DataFrame) -> Any:
    """Tokens promoted and suppressed.

    Parameters
    ----------
    frame
        Columns token (id), text, logit (centred, per unit of activation).
    """
    data = frame.assign(
        row=[f"{visible(text)}" + "\u200b" * index for index, text in enumerate(frame["text"])],
        written=[number(value, sign=True) for value in frame["logit"]],
        sign=["promoted" if value >= 0 else "suppressed" for value in frame["logit"]],
    )
    span = domain_with_zero(float(data["logit"].min()) * 1.25, float(data["logit"].max()) * 1.25)
    base = alt.Chart(data).encode(
        y=alt.Y(
            "row:N",
            sort=data["row"].to_list(),
            title=None,
            axis=alt.Axis(labelFontSize=12, ticks=False, domain=False, labelOverlap=False),
        ),
        tooltip=[
            alt.Tooltip("row:N", title="token"),
            alt.Tooltip("token:Q", title="token id"),
            alt.Tooltip("written:N", title="logits per unit of activation"),
        ],
    )
    bar = base.mark_bar().encode(
        x=alt.X("logit:Q", title="logits per unit of activation", scale=alt.Scale(domain=span)),
        color=alt.Color(
            "sign:N",
            scale=alt.Scale(domain=["promoted", "suppressed"], range=[POSITIVE, NEGATIVE]),
        ),
    )
    return finish(bar, height=17 * len(data) + AXIS + LEGEND)


def effects(
    frame: pd.DataFrame,
    *,
    level: str,
    title: str = "direct (logits)",
    estimate: tuple[float, float, float] | None = None,
) -> Any:
    """Effect by situation, strongest first, with the mean's interval as a band.

    Parameters
    ----------
    frame
        Columns situation, domain, effect.
    level
        The mean's interval in words: ``95% interval``.
    title
        What the effect is, with its unit.
    estimate
        Mean over situations, lower and upper end of its interval.
    """
    data = frame.sort_values("effect", ascending=False).assign(
        written=lambda d: [number(value, sign=True) for value in d["effect"]],
        rank=lambda d: range(1, len(d) + 1),
    )
    bar = (
        alt.Chart(data)
        .mark_bar()
        .encode(
            x=alt.X("rank:O", title="situations, by effect", axis=alt.Axis(labels=False, ticks=False)),
            y=alt.Y("effect:Q", title=title),
            color=alt.condition("datum.effect >= 0", alt.value(POSITIVE), alt.value(NEGATIVE)),
            tooltip=[
                "situation:N",
                "domain:N",
                alt.Tooltip("written:N", title=title),
            ],
        )
    )
    if estimate is None or estimate[0] != estimate[0]:
        return finish(alt.layer(bar), height=310)
    mean, low, high = estimate
    band = pd.DataFrame({"mean": [mean], "low": [low], "high": [high]})
    area = alt.Chart(band).mark_rect(opacity=0.18, color=NEUTRAL).encode(y="low:Q", y2="high:Q")
    line = (
        alt.Chart(band)
        .mark_rule(color=NEUTRAL, strokeWidth=2)
        .encode(
            y="mean:Q",
            tooltip=[
                alt.Tooltip("mean:Q", format=".3g", title=f"mean, {title}"),
                alt.Tooltip("low:Q", format=".3g", title=f"{level}, lower end"),
                alt.Tooltip("high:Q", format=".3g", title=f"{level}, upper end"),
            ],
        )
    )
    return finish(alt.layer(area, bar, line), height=310)
