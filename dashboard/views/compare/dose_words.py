"""Candidates at every dose of the adapter, in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pandas as pd

from dashboard.style.node_names import Words
from dashboard.style.theme import LABEL_GLYPHS
from pipeline.analysis.dose_prompt import Dose, candidate_responses
from store.schema.dose import CHECKPOINTS, DOSE

_LABELS: Final = tuple(LABEL_GLYPHS)


@dataclass(frozen=True, kw_only=True)
class Axis:
    """What a dose is.

    Attributes
    ----------
    artifact
        Name of the artifact that holds the graphs.
    name
        On the control that chooses it.
    one, each
        A dose, and every dose, in words.
    title
        Of the axis.
    """

    artifact: str
    name: str
    one: str
    each: str
    title: str


SCALES: Final = Axis(
    artifact=DOSE.kind,
    name="adapter scale",
    one="scale",
    each="several scales",
    title="adapter scale (0: base, 1: as trained)",
)
STEPS: Final = Axis(
    artifact=CHECKPOINTS,
    name="training step",
    one="training step",
    each="several training steps",
    title="training step (0: base)",
)


def candidate_frame(doses: Sequence[Dose], words: Words, limit: int) -> pd.DataFrame:
    """`candidate_responses` with texts, by label, the most probable first.

    Returns
    -------
    pd.DataFrame
        Columns token (id), text, label, dose, probability; a row a target and dose.
    """
    shown = candidate_responses(doses, limit)
    shown.insert(1, "text", shown["token"].map(words.of))
    shown.insert(2, "label", shown["token"].map(words.label))
    return shown.sort_values("label", key=lambda labels: labels.map(_LABELS.index), kind="stable")
