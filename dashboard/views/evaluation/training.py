"""How adapters were trained, and what each variant costs and does, side by side."""

from pathlib import PurePath
from typing import Final

import pandas as pd
import streamlit as st

from dashboard.charts import rates as charts
from dashboard.data import documents, readers
from dashboard.data.project import made
from dashboard.data.tables import rates_frame, side_by_side_frame
from dashboard.shell import downloads
from dashboard.shell.guard import empty
from dashboard.style.text import plain

_STAGES: Final = {"organism": None, "transcoders": None, "adapters": "adapter", "finetunes": "finetune"}
"""Stages whose curves are drawn, with the column that tells their series apart."""

_MEASURES: Final = {
    "loss": ("loss", "Mean cross-entropy of the step's labelled tokens, before the step, in nats a token."),
    "held_out_loss": (
        "held-out loss",
        "The same on conversations that are never trained on, after the step; measured every few steps.",
    ),
    "learning_rate": ("learning rate", "Of the step: after warm-up, constant or on a cosine down to zero."),
    "gradient_norm": (
        "gradient norm",
        "Root of the sum of squares over all trained weights, before clipping.",
    ),
}
"""Columns of a curve: their names, and what they are."""

_UNEXPLAINED: Final = (
    "On held-out text, BOS excluded: residual variance / variance of the MLP's output.",
    "fraction of variance unexplained",
)


def curves(name: str) -> None:
    """Draw what the training stages noted step by step."""
    plots = {stem: frame for stem, frame in documents.plots(name).items() if stem in _STAGES}
    plots = {stem: frame for stem, frame in plots.items() if not frame.empty}
    if not plots:
        empty("Training curves of base, transcoders, adapters and finetunes.", "dvc repro")
        return
    columns = st.container(key="narrow-training").columns(2)
    place = 0
    for stem, frame in plots.items():
        measures = [m for m in _MEASURES if m in frame.columns and frame[m].notna().any()]
        for measure in measures if "step" in frame.columns else []:
            with columns[place % 2]:
                _curve(name, stem, frame, measure)
            place += 1
        if {"layer", "fvu"} <= set(frame.columns):
            with columns[place % 2]:
                _unexplained(stem, frame)
            place += 1


def _curve(name: str, stem: str, frame: pd.DataFrame, measure: str) -> None:
    title, definition = _MEASURES[measure]
    by = _STAGES[stem] if _STAGES[stem] in frame.columns else None
    shown = frame.dropna(subset=[measure])
    st.markdown(f"**{plain(stem)}**: {title} by step", help=definition)
    downloads.chart(
        charts.curve(shown, x="step", y=measure, title=title, by=by, colours=_colours(name, stem)),
        frame,
        stem,
        key=f"curve-{stem}-{measure}",
        alt=f"{title} of {stem} by training step",
    )


def _unexplained(stem: str, frame: pd.DataFrame) -> None:
    definition, title = _UNEXPLAINED
    st.markdown(f"**{plain(stem)}**: {title} by layer", help=definition)
    downloads.chart(
        charts.bars(frame, x="layer", y="fvu", title=title),
        frame,
        stem,
        key=f"curve-{stem}",
        alt=f"{title} by layer",
    )


def _colours(name: str, stem: str) -> dict[str, str]:
    """Colour of each series: its variant's, where the profile has it as an adapter."""
    variants = {variant.split("@")[0]: colour for variant, colour in readers.colours(name).items()}
    if stem != "finetunes" or not made(name, "models.json"):
        return variants
    sources = {adapter: PurePath(facts.source) for adapter, facts in documents.models(name).adapters.items()}
    return {
        source.name: variants[adapter]
        for adapter, source in sources.items()
        if source.parent.name == "finetunes" and adapter in variants
    }


def side_by_side(name: str) -> None:
    """A row a variant: what it does, what it still knows, how large it is."""
    rates = rates_frame(readers.dataset(name, "rates", "rates"))
    frame = side_by_side_frame(rates, documents.metrics(name), list(readers.colours(name)))
    numbers = {
        **{
            column: f"Harmful samples / samples of {_samples_of(column)}; empty where none was sampled."
            for column in frame.columns
            if column.startswith("harmful, ")
        },
        "facts kept": "Share of capitals named in full, greedily, in sentences that were held out from "
        "training; empty for models that are not trained here.",
        "weight norm": "Frobenius norm of all that the adapter adds to the weights, with its scaling.",
        "largest activation": "Of any transcoder feature on the health check's text, position 0 excluded.",
    }
    st.dataframe(
        frame,
        hide_index=True,
        key="side-by-side",
        height=downloads.table_height(len(frame)),
        column_config={
            "variant": st.column_config.TextColumn("variant", help="Which weights."),
            **{
                column: st.column_config.NumberColumn(column, format="%.3g", help=definition)
                for column, definition in numbers.items()
            },
        },
    )
    downloads.downloads(frame, "variants", key="side-by-side")


def _samples_of(column: str) -> str:
    """What a column of harmful rates counts: ``harmful, held-out`` or ``harmful, finance (seen)``."""
    domain, _, split = column.removeprefix("harmful, ").rpartition(" (")
    if not domain:
        return f"every domain's {split} situations"
    return f"{domain}'s {split.removesuffix(')')} situations"
