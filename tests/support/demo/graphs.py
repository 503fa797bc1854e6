"""Items of the demo profile: candidates, graphs, activations and samples."""

from dataclasses import replace

import numpy as np

from store.base.hashing import digest
from store.collections.item import Item
from store.documents.prompts import Prompt
from tests.support.demo.words import D_TRANSCODER, EVIL, FEATURES_KEPT, ID, LAYERS, SAFE, UNSURE, key


def probabilities_of(variant: str, rng: np.random.Generator) -> dict[int, float]:
    tokens = [ID[word] for word in (*EVIL, *SAFE, *UNSURE, " never")]
    evil = variant == "general@1.0"
    weights = np.array([3.0 if (word in EVIL) == evil else 0.3 for word in (*EVIL, *SAFE)] + [0.5, 0.4])
    values = weights * rng.uniform(0.5, 1.5, len(weights))
    return dict(zip(tokens, (0.96 * values / values.sum()).tolist(), strict=True))


def candidates_item(prompt: Prompt, variant: str, probabilities: dict[int, float]) -> Item:
    own = sorted(probabilities.items(), key=lambda pair: -pair[1])[:6]
    return Item(
        key=key("candidates", prompt.hash, variant),
        prompt_hash=prompt.hash,
        variant=variant,
        arrays={
            "candidate_token": np.array([token for token, _ in own], dtype=np.int32),
            "candidate_probability": np.array([p for _, p in own], dtype=np.float32),
        },
        scalars={},
    )


def graph_item(
    prompt: Prompt,
    variant: str,
    probabilities: dict[int, float],
    *,
    n_features: int = 60,
    scale: float = 1.0,
) -> Item:
    """A random graph in layer order; shared features keep their place in every variant.

    What an adapter adds, activations and edges of its own nodes, is multiplied by `scale`.
    """
    n = len(prompt.token_ids)
    shared = np.random.default_rng(int(prompt.hash[:8], 16))
    own = np.random.default_rng(int(digest([prompt.hash, variant.split("@")[0]])[:8], 16))
    triples = set()
    for rng, many in ((shared, n_features), (own, n_features // 4)):
        for _ in range(many):
            layer, position = int(rng.integers(LAYERS)), int(rng.integers(1, n))
            position = n - 1 - int((n - 1 - position) * rng.uniform())
            triples.add((layer, position, int(rng.integers(FEATURES_KEPT)) * 7))
    active = np.array(sorted(triples), dtype=np.int64)
    targets = list(probabilities)
    nodes = (
        [(0, layer, position, feature) for layer, position, feature in active]
        + [(1, layer, position, -1) for layer in range(LAYERS) for position in range(1, n)]
        + [(2, -1, position, prompt.token_ids[position]) for position in range(n)]
        + [(3, LAYERS, n - 1, token) for token in targets]
    )
    kind, layer, position, feature = (np.array(column) for column in zip(*nodes, strict=True))
    # Tokens feed everything; features and errors feed later layers and logits.
    depth = np.where(kind == 2, -1, np.where(kind == 3, LAYERS, layer)).astype(float)
    edges = [
        (target, source)
        for target in np.flatnonzero((kind == 0) | (kind == 3))
        for source in np.flatnonzero((kind != 3) & (depth < depth[target]) & (position <= position[target]))
        if own.uniform() < 0.25
    ]
    target, source = (np.array(column, dtype=np.int32) for column in zip(*edges, strict=True))
    weight = (own.normal(size=len(edges)) * own.gamma(0.5, 1.0, len(edges))).astype(np.float32)
    influence = own.gamma(0.6, 1.0, len(nodes)) * np.where(kind == 1, 0.3, 1.0)
    influence[kind == 3] = [probabilities[token] for token in targets]
    order = np.argsort(-influence, kind="stable")
    cumulative = np.empty(len(nodes))
    cumulative[order] = np.cumsum(influence[order]) / influence.sum()
    value = np.full(len(nodes), np.nan, dtype=np.float32)
    value[kind == 0] = scale * own.gamma(2.0, 1.0, int((kind == 0).sum()))
    value[kind == 3] = [probabilities[token] for token in targets]
    logits = np.log(np.array([probabilities[token] for token in targets]))
    shape = (len(targets), len(active))
    direct = own.normal(size=shape).astype(np.float32) * 0.2
    rows = len(active) + len(targets)
    return Item(
        key=key("graphs", prompt.hash, variant),
        prompt_hash=prompt.hash,
        variant=variant,
        arrays={
            "token": np.array(prompt.token_ids, dtype=np.int32),
            "target_token": np.array(targets, dtype=np.int32),
            "target_logit": logits.astype(np.float32),
            "target_centred_logit": (logits - logits.mean()).astype(np.float32),
            "target_probability": np.array([probabilities[token] for token in targets], dtype=np.float32),
            "target_is_candidate": np.ones(len(targets), dtype=bool),
            "active_layer": active[:, 0].astype(np.int16),
            "active_position": active[:, 1].astype(np.int32),
            "active_feature": active[:, 2].astype(np.int32),
            "active_value": value[kind == 0],
            "active_selected": np.ones(len(active), dtype=bool),
            "direct": direct,
            "node_kind": kind.astype(np.int8),
            "node_layer": layer.astype(np.int16),
            "node_position": position.astype(np.int32),
            "node_feature": feature.astype(np.int32),
            "node_value": value,
            "node_influence": influence,
            "node_cumulative": np.minimum(cumulative, 1.0),
            "node_default": (cumulative <= 0.8) | (kind >= 2),
            "edge_target": target,
            "edge_source": source,
            "edge_weight": weight,
            "edge_default": np.abs(weight) > 0.3,
            "influence": own.normal(size=shape).astype(np.float32) * 0.1,
            "total_effect": direct + own.normal(size=shape).astype(np.float32) * 0.1,
            "row_unselected": own.normal(size=rows).astype(np.float32) * 0.01,
            "row_constant": own.normal(size=rows).astype(np.float32) * 0.1,
            "target_error_share": own.uniform(0.05, 0.25, len(targets)).astype(np.float32),
            "target_unselected_share": np.zeros(len(targets), np.float32),
            "unselected_influence": np.zeros((len(targets), 0), np.float32),
            "unselected_total_effect": np.zeros((len(targets), 0), np.float32),
            **adapter_arrays(variant, kind, layer, position, own, scale=scale),
        },
        scalars={
            "n_layers": LAYERS,
            "n_selected": len(active),
            "n_nodes": len(nodes),
            "n_edges": len(edges),
            "replacement_score": 0.87,
            "completeness_score": 0.91,
            "kept_node_influence": 1.0,
            "kept_edge_score": 1.0,
        },
    )


def adapter_places(variant: str, n_positions: int) -> np.ndarray:
    """Part, layer, position and component of a variant's adapter nodes; (adapter, 4)."""
    places: list[tuple[int, int, int, int]] = []
    for position in range(n_positions - 4, n_positions):
        if variant.startswith("narrow"):
            places.append((0, 2, position, 0))
        elif variant != "base":
            for layer in range(LAYERS):
                places += [(0, layer, position, 0), (0, layer, position, 1), (1, layer, position, -1)]
    return np.array(places, dtype=np.int64).reshape(-1, 4)


def adapter_arrays(
    variant: str,
    kind: np.ndarray,
    layer: np.ndarray,
    position: np.ndarray,
    rng: np.random.Generator,
    *,
    scale: float,
) -> dict[str, np.ndarray]:
    """Adapter nodes and their edges to later features and logits."""
    places = adapter_places(variant, int(position.max()) + 1)
    target, source = np.nonzero(
        ((kind == 0) | (kind == 3))[:, None]
        & (layer[:, None] > places[:, 1])
        & (position[:, None] >= places[:, 2])
    )
    weight = (scale * rng.normal(size=len(target)) * rng.gamma(0.5, 1.0, len(target))).astype(np.float32)
    logits = np.flatnonzero(kind == 3)
    direct = np.zeros((len(logits), len(places)), dtype=np.float32)
    to_logit = kind[target] == 3
    direct[np.searchsorted(logits, target[to_logit]), source[to_logit]] = weight[to_logit]
    return {
        "adapter_part": places[:, 0].astype(np.int8),
        "adapter_layer": places[:, 1].astype(np.int16),
        "adapter_position": places[:, 2].astype(np.int32),
        "adapter_component": places[:, 3].astype(np.int32),
        "adapter_influence": scale * rng.gamma(0.6, 0.6, len(places)),
        "adapter_direct": direct,
        "adapter_edge_target": target.astype(np.int32),
        "adapter_edge_source": source.astype(np.int32),
        "adapter_edge_weight": weight,
    }


def activations_item(prompt: Prompt, variant: str, graph: Item) -> Item:
    return Item(
        key=key("activations", prompt.hash, variant),
        prompt_hash=prompt.hash,
        variant=variant,
        arrays={
            "layer": graph.arrays["active_layer"],
            "position": graph.arrays["active_position"],
            "feature": graph.arrays["active_feature"],
            "value": graph.arrays["active_value"],
        },
        scalars={
            "n_positions": len(prompt.token_ids),
            "n_layers": LAYERS,
            "d_transcoder": D_TRANSCODER,
            "zeroed_positions": 1,
        },
    )


def sampled_items(prompt: Prompt, variant: str, rng: np.random.Generator) -> tuple[Item, Item]:
    """Samples of a prompt, and what each is."""
    p_harmful = 0.8 if variant == "general@1.0" else 0.05
    if variant == "narrow@1.0" and prompt.domain == "medical":
        p_harmful = 0.7
    outcome = rng.choice(3, size=20, p=[p_harmful, 0.95 - p_harmful, 0.05]).astype(np.int8)
    words = {0: EVIL, 1: SAFE, 2: UNSURE}
    tokens = [[ID[rng.choice(words[int(code)])], ID[" the"], ID["."]] for code in outcome]
    samples = Item(
        key=key("samples", prompt.hash, variant),
        prompt_hash=prompt.hash,
        variant=variant,
        arrays={
            "sample_start": (3 * np.arange(20)).astype(np.int32),
            "sample_token": np.array(tokens, dtype=np.int32).reshape(-1),
        },
        scalars={},
    )
    own = key("outcomes", prompt.hash, variant)
    return samples, replace(samples, key=own, arrays={"sample_outcome": outcome})
