"""Graphs and activations of many prompts, by chance or with one feature planted in them."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from pipeline.analysis.activity import prompt_activity
from pipeline.analysis.feature_inputs import Contexts, histogram_edges
from pipeline.analysis.feature_tables import feature_groups
from pipeline.analysis.scores import activation_scores
from store.collections.item import Item
from store.schema.vocabulary import SCORES
from tests.support.feature_builders import (
    EVIL,
    LEXICON,
    PARAMS,
    SAFE,
    edges_from,
    make_activations,
    make_graph,
    make_prompt,
    promote,
)

PROMPTS = [make_prompt(i, situation=i // 2) for i in range(48)]
N_FEATURES = 60
PLANTED = 7
ADAPTED = "general@1.0"
# Every third node is not selected; the planted one is.
NODES = [(f % 2, 1 + f % 3, f) for f in range(N_FEATURES)]
SELECTED = [f % 3 != 0 for f in range(N_FEATURES)]


def noise(seed: int) -> dict[str, np.ndarray]:
    """Scores and activations of every prompt: (prompt, 2 targets, feature), (prompt, feature)."""
    rng = np.random.default_rng(seed)
    scores = {name: rng.normal(size=(len(PROMPTS), 2, N_FEATURES)) for name in SCORES[:3]}
    return scores | {"activation": rng.gamma(2.0, size=(len(PROMPTS), N_FEATURES))}


def plant(values: dict[str, np.ndarray], size: float = 2.0) -> dict[str, np.ndarray]:
    """One feature favours the evil token, and is stronger, in every situation."""
    values = {name: array.copy() for name, array in values.items()}
    for name in SCORES[:3]:
        values[name][:, 0, PLANTED] += size
    values["activation"][:, PLANTED] += size
    return values


def graphs(values: dict[str, np.ndarray], variant: str, flipped: np.ndarray | None = None) -> list[Item]:
    """Items of a variant; where `flipped` by situation, evil and safe change places."""
    out = []
    for row, prompt in enumerate(PROMPTS):
        swap = flipped is not None and flipped[row // 2]
        out.append(
            make_graph(
                prompt,
                variant,
                NODES,
                values["direct"][row],
                (SAFE, EVIL) if swap else (EVIL, SAFE),
                selected=SELECTED,
                influence=values["influence"][row][:, SELECTED],
                total_effect=values["total_effect"][row][:, SELECTED],
            )
        )
    return out


def activations(values: dict[str, np.ndarray], variant: str) -> list[Item]:
    return [
        make_activations(p, variant, [(*node, float(v)) for node, v in zip(NODES, row, strict=True)])
        for p, row in zip(PROMPTS, values["activation"], strict=True)
    ]


def groups(
    graph_items: list[Item], activation_items: list[Item], contexts: Sequence[Contexts] = ()
) -> dict[str, xr.Dataset]:
    return feature_groups(
        graphs=graph_items,
        graph_edges=edges_from([]),
        activations=[activation_scores(item) for item in activation_items],
        changes=[],
        activity=prompt_activity(activation_items),
        contexts=contexts,
        edges=histogram_edges(1.0, 4.0, 4),
        promoted=promote,
        prompts=PROMPTS,
        lexicon=LEXICON,
        params=PARAMS,
        seed=0,
    )
