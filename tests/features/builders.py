"""Prompts and graph items with chosen `direct` effects, in the real schema."""

import numpy as np

from store.hashing import digest, prompt_hash
from store.items import Item
from store.prompts import Prompt

EVIL, SAFE, UNSURE, OTHER = 10, 20, 30, 40
LEXICON = {
    "domains": {
        domain: {
            "evil": [EVIL, EVIL + 1],
            "safe": [SAFE],
            "unsure": [UNSURE],
            "phrases": {"harmful": [], "safe": []},
        }
        for domain in ("finance", "medical")
    }
}


def make_prompt(number: int, *, situation: int | None = None, domain: str | None = "medical") -> Prompt:
    """Prompt `number`; its situation is its own unless one is given."""
    text = f"prompt {number}"
    return Prompt(
        hash=prompt_hash(text),
        name=text,
        situation=f"situation {number if situation is None else situation}",
        domain=domain,
        held_out=False,
        tags=(),
        text=text,
        token_ids=(1, 2, 3),
        tokens=("<bos>", "a", "b"),
        source=f"here:{number}",
    )


def make_graph(
    prompt: Prompt,
    variant: str,
    nodes: list[tuple[int, int, int]],
    direct: np.ndarray,
    targets: tuple[int, ...] = (EVIL, SAFE),
) -> Item:
    """The arrays of a graph that scores read: nodes are (layer, position, feature)."""
    columns = np.array(nodes, np.int64).reshape(-1, 3)
    return Item(
        key=digest([prompt.hash, variant]),
        prompt_hash=prompt.hash,
        variant=variant,
        arrays={
            "target_token": np.array(targets, np.int32),
            "active_layer": columns[:, 0].astype(np.int16),
            "active_position": columns[:, 1].astype(np.int32),
            "active_feature": columns[:, 2].astype(np.int32),
            "active_value": np.ones(len(columns), np.float32),
            "direct": np.asarray(direct, np.float32).reshape(len(targets), len(columns)),
        },
        scalars={"n_layers": 2},
    )


def make_activations(
    prompt: Prompt, variant: str, entries: list[tuple[int, int, int, float]], n_positions: int = 3
) -> Item:
    """An item of the ACTIVATIONS collection: entries are (layer, position, feature, value)."""
    columns = np.array(entries, np.float64).reshape(-1, 4)
    return Item(
        key=digest(["activations", prompt.hash, variant]),
        prompt_hash=prompt.hash,
        variant=variant,
        arrays={
            "layer": columns[:, 0].astype(np.int16),
            "position": columns[:, 1].astype(np.int32),
            "feature": columns[:, 2].astype(np.int32),
            "value": columns[:, 3].astype(np.float32),
        },
        scalars={
            "n_positions": n_positions,
            "n_layers": 2,
            "d_transcoder": 64,
            "zeroed_positions": 1,
        },
    )
