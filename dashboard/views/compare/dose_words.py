"""Candidates at every scale of the adapter, in words."""

from collections.abc import Sequence
from typing import Final

import pandas as pd

from dashboard.style.node_names import Words
from dashboard.style.theme import LABEL_GLYPHS
from pipeline.analysis.dose_prompt import Dose, candidate_responses

_LABELS: Final = tuple(LABEL_GLYPHS)


def candidate_frame(doses: Sequence[Dose], words: Words, limit: int) -> pd.DataFrame:
    """`candidate_responses` with texts, by label, the most probable first.

    Returns
    -------
    pd.DataFrame
        Columns token (id), text, label, scale, probability; a row a target and scale.
    """
    shown = candidate_responses(doses, limit)
    shown.insert(1, "text", shown["token"].map(words.of))
    shown.insert(2, "label", shown["token"].map(words.label))
    return shown.sort_values("label", key=lambda labels: labels.map(_LABELS.index), kind="stable")
