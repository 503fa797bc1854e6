"""What nodes do to the targets, in words: names of the contrasts, rows of a description."""

from typing import Final

import numpy as np

from dashboard.style.node_names import Words
from dashboard.style.text import number
from dashboard.style.theme import LABEL_GLYPHS
from pipeline.analysis.node_scores import TargetContrasts, target_contrasts
from store.views.graph import GraphView

LIMIT: Final = 3
"""Single tokens whose scores a hovered node lists, beside evil against safe."""


def contrasts_on(tokens: np.ndarray, rank: np.ndarray, words: Words) -> TargetContrasts:
    """`target_contrasts` named by glyph and text; `words` has both."""
    return target_contrasts(
        tokens,
        rank,
        labels=words.labels,
        name=lambda token: f"{LABEL_GLYPHS[words.label(token)]} {words.of(token)}",
    )


def contrasts(view: GraphView, words: Words) -> TargetContrasts:
    """Contrasts of a graph's targets, the most probable ones first."""
    arrays = view.item.arrays
    return contrasts_on(arrays["target_token"], arrays["target_probability"], words)


def table(names: list[str], scores: np.ndarray) -> list[list[str]]:
    """A node's scores in words, for its description: one row a contrast; empty where it has none.

    Parameters
    ----------
    names
        Of the contrasts.
    scores
        (contrast, score), NaN: none.
    """
    if not np.isfinite(scores).any():
        return []
    return [
        [name, *(number(float(value), sign=True) for value in row)]
        for name, row in zip(names, scores, strict=True)
    ]


def change_table(names: list[str], left: np.ndarray, right: np.ndarray) -> list[list[str]]:
    """The same of two variants, ``left → right``."""
    if not (np.isfinite(left).any() or np.isfinite(right).any()):
        return []
    written = [
        [f"{number(float(a), sign=True)} → {number(float(b), sign=True)}" for a, b in zip(*rows, strict=True)]
        for rows in zip(left, right, strict=True)
    ]
    return [[name, *row] for name, row in zip(names, written, strict=True)]
