"""Graphs of the demo's behaviours by prompt: made-up effects and edges, by base and the focus adapter."""

from pathlib import Path

import numpy as np

from store.collections.item import Item
from store.collections.writer import write_collection
from store.documents.behaviour_prompts import BehaviourPrompt
from store.schema.circuits import BEHAVIOUR_GRAPHS
from store.views.by_behaviour import place
from tests.support.circuits import random_arrays
from tests.support.demo.behaviours import NAMES, behaviour_prompts
from tests.support.demo.circuits import TRACED
from tests.support.demo.words import PROVENANCE, key


def behaviour_graph(rng: np.random.Generator, prompt: BehaviourPrompt, variant: str) -> Item:
    """Thirty features at the prompt's tokens, no two the same feature at the same place."""
    n = len(prompt.token_ids)
    arrays = random_arrays(rng)
    n_active = len(arrays["active_value"])
    arrays |= {
        "token": np.array(prompt.token_ids, np.int32),
        "target_token": np.array([7, 9], np.int32),
        "target_logit": np.array([3, 1], np.float32),
        "active_position": rng.integers(0, n, n_active).astype(np.int32),
        "active_feature": np.arange(n_active, dtype=np.int32),
        **{
            f"token_{name}": rng.normal(size=n).astype(np.float32)
            for name in ("direct", "total_effect", "influence")
        },
    }
    return Item(
        key=key("behaviour graphs", prompt.hash, variant),
        prompt_hash=prompt.hash,
        variant=variant,
        arrays=arrays,
        scalars={"n_layers": 3, "error_direct": 0.5, "error_total_effect": -0.25},
    )


def write_behaviour_graphs(folder: Path) -> None:
    """Write the collections below a profile's folder."""
    rng = np.random.default_rng(11)
    for name in NAMES:
        prompts = behaviour_prompts(name)
        items = [behaviour_graph(rng, prompt, variant) for variant in TRACED for prompt in prompts]
        path = folder / place(BEHAVIOUR_GRAPHS.kind, name)
        write_collection(path, BEHAVIOUR_GRAPHS, items, provenance=PROVENANCE)
