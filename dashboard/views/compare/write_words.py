"""What an adapter writes to, in words: candidates and features by name."""

from typing import Final

import pandas as pd

from dashboard.style.node_names import Words
from dashboard.style.text import named
from dashboard.style.theme import CAUSE_COLOURS, LABEL_GLYPHS
from pipeline.analysis.adapter_writes import cause_changes, feature_writes
from store.schema.vocabulary import CAUSES
from store.views.adapter import AdapterView

CANDIDATES: Final = 14
"""At most so many candidates in a chart: those whose logit changes most."""


def cause_frame(view: AdapterView, words: Words, limit: int = CANDIDATES) -> pd.DataFrame:
    """`cause_changes` with texts and the causes' names on the page.

    Returns
    -------
    pd.DataFrame
        Columns row (glyph and text), token, label, cause (a name of `CAUSE_COLOURS`), change,
        total (logits).
    """
    frame = cause_changes(view, limit)
    tokens = view.targets["token"].astype(int).to_list()
    shown = [f"{LABEL_GLYPHS[words.label(token)]} {words.of(token)}" for token in tokens]
    # Different tokens can look alike; the id keeps them apart.
    rows = {
        token: row if shown.count(row) == 1 else f"{row} #{token}"
        for token, row in zip(tokens, shown, strict=True)
    }
    frame.insert(0, "row", frame["token"].map(rows))
    frame.insert(2, "label", frame["token"].map(words.label))
    return frame.assign(cause=frame["cause"].map(dict(zip(CAUSES, CAUSE_COLOURS, strict=True))))


def feature_frame(view: AdapterView, words: Words) -> pd.DataFrame:
    """`feature_writes` with a first column, feature: layer and index, and the name where it has one."""
    frame = feature_writes(view)
    features = zip(frame["layer"], frame["index"], strict=True)
    frame.insert(0, "feature", [named(words.names, feature) for feature in features])
    return frame
