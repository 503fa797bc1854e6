"""On a feature's card: the edges into and out of it that the adapter changes most."""

from collections.abc import Mapping

import streamlit as st
import xarray as xr

from dashboard.data import names, readers
from dashboard.data.tables import contrast_words, edges_frame
from dashboard.shell import downloads, query, selection
from dashboard.shell.guard import guard
from dashboard.style.text import count, feature_name, interval, percent, plain
from dashboard.widgets import chosen_feature, row_table


def show(name: str, feature: tuple[int, int], *, contrast: str, domain: str) -> None:
    """Draw the table; a chosen row opens the card of the other end.

    Parameters
    ----------
    name
        Profile.
    feature
        Layer and index.
    contrast, domain
        Those of the card; edges are compared with base whatever the contrast.
    """
    with guard("The edges into and out of this feature that the adapter changes most."):
        table = readers.dataset(name, "features", "ranking_edges")
        against = _against_base(contrast, [str(value) for value in table["contrast"].values])
        if against is None:
            st.caption("No prompt was traced with base and an adapter.")
            return
        _table(table, feature, against, domain, names.of_features(name))


def _against_base(contrast: str, known: list[str]) -> str | None:
    """The contrast of edges that is nearest to the card's: its variant's, else variant B's."""
    variant = contrast.removeprefix("evil-safe|")
    for wanted in (contrast, f"{variant}-base", f"{selection.get(query.B)}-base", *known):
        if wanted in known:
            return wanted
    return None


def _table(
    table: xr.Dataset,
    feature: tuple[int, int],
    contrast: str,
    domain: str,
    called: Mapping[tuple[int, int], str],
) -> None:
    frame = edges_frame(table, contrast, domain, *feature)
    ends = zip(frame["layer"], frame["index"], strict=True)
    frame = frame.assign(name=[called.get((int(layer), int(index)), "") for layer, index in ends])
    row = [str(value) for value in table["contrast"].values].index(contrast)
    pairs, kept = int(table["n_pairs"].values[row]), float(table["kept_edge_score"].values[row])
    scope = (
        f"Of the {count(table.sizes['pair'])} strongest of {count(pairs)} pairs of features, chosen without "
        f"regard to the variant; {contrast_words(contrast)}, domain {domain}."
    )
    if kept < 1:
        scope += f" At least {percent(kept)} of each graph's edge score is stored; the rest counts as 0."
    if frame.empty:
        st.caption(plain(f"No edge of this feature is among those compared. {scope}"))
        return
    key = f"edges-{contrast}-{domain}-{feature_name(*feature)}"

    row_table.show(
        frame.assign(interval=[interval(a, b) for a, b in zip(frame["low"], frame["high"], strict=True)]),
        key=key,
        choose=chosen_feature.choose,
        # What fits into the card's width first.
        order=[
            "direction",
            "feature",
            "name",
            "effect",
            "q",
            "base",
            "adapted",
            "interval",
            "n_situations",
        ],
        columns={
            "direction": st.column_config.TextColumn(
                "edge", help="Into this feature (from the other), or out of it (to the other)."
            ),
            "feature": st.column_config.TextColumn(
                "other", help="The edge's other end: layer and index, both 0-based."
            ),
            "name": st.column_config.TextColumn(
                "name", help="What a person called the other end, or what it promotes."
            ),
            "effect": st.column_config.NumberColumn(
                "change (pre-activation)",
                format="%.3g",
                help="Edge weight, summed over positions, adapted minus base: averaged within each "
                "situation, then over them. Without an edge it counts as 0.",
            ),
            "interval": st.column_config.TextColumn(
                "interval",
                help="Bootstrap-t interval of the change over situations (pre-activation); empty: too few.",
            ),
            "base": st.column_config.NumberColumn("base", format="%.3g", help="The same mean in the base."),
            "adapted": st.column_config.NumberColumn(
                "adapted", format="%.3g", help="The same mean in the adapted model."
            ),
            "q": st.column_config.NumberColumn(
                "q",
                format="%.3g",
                help="False discovery rate: Benjamini-Hochberg over the pairs of this contrast and domain, "
                "of p-values from a sign-flip permutation test over situations. Empty: not tested, in too "
                "few situations.",
            ),
            "n_situations": st.column_config.NumberColumn(
                "n", format="%d", help="Situations in which either variant has the edge."
            ),
        },
    )
    st.caption(plain(scope))
    downloads.downloads(
        frame.assign(contrast=contrast, domain=domain),
        f"edges-L{feature[0]}-{feature[1]}",
        key="edges",
    )
