"""Items of the demo profile: what the adapter writes to, and graphs at several scales."""

import numpy as np

from store.base.hashing import digest
from store.collections.item import Item
from store.documents.prompts import Prompt
from store.schema.vocabulary import CAUSES
from tests.support.demo.graphs import adapter_places, graph_item
from tests.support.demo.words import EVIL, ID, LAYERS, key

SCALES = (0.25, 0.5, 1.0, 1.5, 2.0)


def adapters_item(prompt: Prompt, variant: str, graph: Item) -> Item:
    """Writes on the graph's features and targets; the causes add up to the change."""
    rng = np.random.default_rng(int(digest(["adapters", prompt.hash, variant])[:8], 16))
    arrays = graph.arrays
    n = len(prompt.token_ids)
    places = adapter_places(variant, n)
    if not variant.startswith("narrow"):
        attention = [(2, layer, position, -1) for layer in range(LAYERS) for position in range(n - 4, n)]
        places = np.concatenate([places, np.array(attention)])
    targets = arrays["target_token"]
    evil = np.isin(targets, [ID[word] for word in EVIL])
    sign = np.where(evil, 1.0, -1.0)[:, None]
    direct = (0.05 * sign + 0.05 * rng.normal(size=(len(targets), len(places)))).astype(np.float32)
    change = np.zeros((len(targets), len(CAUSES)), dtype=np.float32)
    for code, cause in enumerate(CAUSES[:3]):
        change[:, CAUSES.index(cause)] = direct[:, places[:, 0] == code].sum(1)
    change[:, 3:] = rng.normal(size=(len(targets), 4)) * [0.5, 0.1, 0.15, 0.05] + 0.3 * sign
    origins = np.unique(places[:, :2], axis=0)
    layer, position, feature = (arrays[f"active_{name}"] for name in ("layer", "position", "feature"))
    reached = layer[None, :] > origins[:, 1:2]
    write = np.where(reached, rng.normal(size=reached.shape) * rng.gamma(0.5, 1.0, reached.shape), 0.0)
    by_cause = np.abs(change)
    return Item(
        key=key("adapters", prompt.hash, variant),
        prompt_hash=prompt.hash,
        variant=variant,
        arrays={
            "token": arrays["token"],
            "target_token": targets,
            "target_centred_change": change.sum(1),
            "change": change,
            "target_pattern_change": (0.1 * rng.normal(size=len(targets))).astype(np.float32),
            "source_part": places[:, 0].astype(np.int8),
            "source_layer": places[:, 1].astype(np.int16),
            "source_position": places[:, 2].astype(np.int32),
            "source_component": places[:, 3].astype(np.int32),
            "source_direct": direct,
            "source_total_effect": (2.0 * direct).astype(np.float32),
            "write_layer": layer,
            "write_position": position,
            "write_feature": feature,
            "write_value": arrays["active_value"],
            "write": write.astype(np.float32),
            "origin_part": origins[:, 0].astype(np.int8),
            "origin_layer": origins[:, 1].astype(np.int16),
        },
        scalars={
            "error_share_of_change": float((by_cause[:, CAUSES.index("error")] / by_cause.sum(1)).mean())
        },
    )


def dose_items(prompt: Prompt, before: dict[int, float], after: dict[int, float]) -> list[Item]:
    """Graphs of base and of ``general`` at every scale; probabilities move in a line, then rest."""
    items = [graph_item(prompt, "base", before)]
    for scale in SCALES:
        share = min(scale, 1.5) / 1.5
        blend = {token: (1 - share) * before[token] + share * after[token] for token in before}
        items.append(graph_item(prompt, f"general@{scale!r}", blend, scale=scale))
    return items
