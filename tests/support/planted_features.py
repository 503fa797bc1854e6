"""Graphs and activations of many prompts, by chance or with one feature planted in them."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from pipeline.analysis.activity import prompt_activity
from pipeline.analysis.feature_inputs import Contexts, histogram_edges
from pipeline.analysis.feature_tables import feature_groups
from pipeline.analysis.scores import LABELLED, activation_scores
from pipeline.analysis.spreading import Spread, in_threads
from pipeline.text.token_labels import TokenLabels
from store.collections.item import Item
from tests.support.feature_builders import (
    NO_NULLS,
    PARAMS,
    edges_from,
    make_activations,
    make_graph,
    make_prompt,
    promote,
)

PROMPTS = [make_prompt(i, situation=i // 2) for i in range(36)]
N_FEATURES = 40
PLANTED = 7
ADAPTED = "general@1.0"
# As many evil as safe ones, enough that a dealt labelling is hardly ever the true one.
TOKENS = tuple(range(10, 28))
N_EVIL = len(TOKENS) // 2
LABELS = TokenLabels(
    lexicon={
        "domains": {
            "medical": {
                "evil": list(TOKENS[:N_EVIL]),
                "safe": list(TOKENS[N_EVIL:]),
                "unsure": [],
                "phrases": {"harmful": [], "safe": []},
            }
        }
    }
)
# Every third node is not selected; the planted one is.
NODES = [(f % 2, 1 + f % 3, f) for f in range(N_FEATURES)]
SELECTED = [f % 3 != 0 for f in range(N_FEATURES)]


def noise(seed: int) -> dict[str, np.ndarray]:
    """Scores and activations of every prompt: (prompt, target, feature), (prompt, feature).

    Prompts share their targets, and what every feature makes of each (trap 29).
    """
    rng = np.random.default_rng(seed)
    size = (len(TOKENS), N_FEATURES)
    scores = {name: 0.2 * rng.normal(size=size) + rng.normal(size=(len(PROMPTS), *size)) for name in LABELLED}
    return scores | {"activation": rng.gamma(2.0, size=(len(PROMPTS), N_FEATURES))}


def plant(values: dict[str, np.ndarray], size: float = 2.0) -> dict[str, np.ndarray]:
    """One feature favours the evil tokens, and is stronger, in every situation."""
    values = {name: array.copy() for name, array in values.items()}
    for name in LABELLED:
        values[name][:, :N_EVIL, PLANTED] += size
    values["activation"][:, PLANTED] += size
    return values


def graphs(values: dict[str, np.ndarray], variant: str, dealt: Sequence[int] = TOKENS) -> list[Item]:
    """Items of a variant; `dealt` are the tokens in the order in which they get the targets' scores."""
    return [
        make_graph(
            prompt,
            variant,
            NODES,
            values["direct"][row],
            tuple(dealt),
            selected=SELECTED,
            value=values["activation"][row],
            influence=values["influence"][row],
            total_effect=values["total_effect"][row],
        )
        for row, prompt in enumerate(PROMPTS)
    ]


def activations(values: dict[str, np.ndarray], variant: str) -> list[Item]:
    return [
        make_activations(p, variant, [(*node, float(v)) for node, v in zip(NODES, row, strict=True)])
        for p, row in zip(PROMPTS, values["activation"], strict=True)
    ]


def groups(
    graph_items: list[Item],
    activation_items: list[Item],
    contexts: Sequence[Contexts] = (),
    *,
    spread: Spread = in_threads,
) -> dict[str, xr.Dataset]:
    return feature_groups(
        graphs=sorted(graph_items, key=lambda item: item.prompt_hash),  # prompt by prompt
        graph_edges=edges_from([]),
        activations=[activation_scores(item) for item in activation_items],
        changes=[],
        activity=prompt_activity(activation_items),
        contexts=contexts,
        edges=histogram_edges(1.0, 4.0, 4),
        promoted=promote,
        null_changes=NO_NULLS,
        prompts=PROMPTS,
        labels=LABELS,
        params=PARAMS.model_copy(update={"labellings": 1000, "permutations": 5000, "bootstrap": 200}),
        seed=0,
        spread=spread,
    )
