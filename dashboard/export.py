"""A graph as circuit-tracer's frontend reads it, without torch.

The schema is that of ``circuit_tracer/frontend/graph_models.py`` (0.5.0): nodes and links
that the thresholds keep, ids as that module makes them.
"""

import json
from typing import Any

import numpy as np

from dashboard.graphs import Words, node_ids
from store.graphs import GraphView


def frontend_json(
    view: GraphView,
    words: Words,
    *,
    prompt: str,
    scan: str,
    node_threshold: float,
    edge_threshold: float,
    pinned: list[str],
) -> bytes:
    """The pruned graph as JSON for circuit-tracer's frontend.

    Parameters
    ----------
    view
        The stored graph.
    words
        Token texts of prompt and vocabulary.
    prompt
        The prompt's text.
    scan
        What the frontend looks features up by: the transcoders' source.
    node_threshold, edge_threshold
        What to keep, as `GraphView.view` takes them.
    pinned
        Ids of pinned nodes, as `graphs.node_ids` makes them.
    """
    shown = view.view(node_threshold, edge_threshold)
    n_layers = int(view.item.scalars["n_layers"])
    arrays = view.item.arrays
    kinds = view.nodes["kind"].astype(str).to_list()
    best = int(arrays["target_token"][int(np.argmax(arrays["target_probability"]))])
    nodes: dict[int, dict[str, Any]] = {}
    for row in np.flatnonzero(shown.nodes).tolist():
        nodes[row] = _node(
            kinds[row],
            int(arrays["node_layer"][row]),
            int(arrays["node_position"][row]),
            int(arrays["node_feature"][row]),
            value=float(arrays["node_value"][row]),
            cumulative=float(arrays["node_cumulative"][row]),
            n_layers=n_layers,
            words=words,
            best=best,
        )
    links = [
        {
            "source": nodes[int(arrays["edge_source"][row])]["node_id"],
            "target": nodes[int(arrays["edge_target"][row])]["node_id"],
            "weight": float(arrays["edge_weight"][row]),
        }
        for row in np.flatnonzero(shown.edges).tolist()
    ]
    chosen = set(pinned)
    ids = node_ids(view.nodes)
    document = {
        "metadata": {
            "slug": f"{view.prompt_hash}-{view.variant.replace('@', '-')}",
            "scan": scan,
            "transcoder_list": [],
            "prompt_tokens": list(words.tokens),
            "prompt": prompt,
            "node_threshold": node_threshold,
            "schema_version": 1,
        },
        "qParams": {
            "pinnedIds": [node["node_id"] for row, node in nodes.items() if ids[row] in chosen],
            "supernodes": [],
            "linkType": "both",
            "clickedId": "",
            "sg_pos": "",
        },
        "nodes": list(nodes.values()),
        "links": links,
    }
    return json.dumps(document, ensure_ascii=False, allow_nan=False).encode("utf-8", "surrogatepass")


def _node(
    kind: str,
    layer: int,
    position: int,
    feature: int,
    *,
    value: float,
    cumulative: float,
    n_layers: int,
    words: Words,
    best: int,
) -> dict[str, Any]:
    common: dict[str, Any] = {
        "ctx_idx": position,
        "token_prob": 0.0,
        "is_target_logit": False,
        "run_idx": 0,
        "reverse_ctx_idx": 0,
        "clerp": "",
        "influence": cumulative,
        "activation": None,
    }
    match kind:
        case "feature":
            return common | {
                "node_id": f"{layer}_{feature}_{position}",
                "feature": (layer + feature) * (layer + feature + 1) // 2 + feature,
                "layer": str(layer),
                "feature_type": "cross layer transcoder",
                "jsNodeId": f"{layer}_{feature}-0",
                "activation": value,
            }
        case "error":
            return common | {
                "node_id": f"0_{layer}_{position}",
                "feature": -1,
                "layer": str(layer),
                "feature_type": "mlp reconstruction error",
                "jsNodeId": f"{layer}_{position}-0",
            }
        case "token":
            return common | {
                "node_id": f"E_{feature}_{position}",
                "feature": position,
                "layer": "E",
                "feature_type": "embedding",
                "jsNodeId": f"E_{feature}-{position}",
            }
    text = words.vocabulary[feature] if 0 <= feature < len(words.vocabulary) else str(feature)
    return common | {
        "node_id": f"{n_layers + 1}_{feature}_{position}",
        "feature": feature,
        "layer": str(n_layers + 1),
        "feature_type": "logit",
        "token_prob": value,
        "is_target_logit": feature == best,
        "jsNodeId": f"L_{feature}-{position}",
        "clerp": f'Output "{text}" (p={value:.3f})',
        "influence": None,
    }
