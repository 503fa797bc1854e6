"""A graph as circuit-tracer's viewer and Neuronpedia read it, without torch.

Nodes, links and ids are those of ``circuit_tracer/utils/create_graph_files.py`` and
``circuit_tracer/frontend/graph_models.py`` (0.5.0); what Neuronpedia's schema
(``apps/webapp/app/api/graph/graph-schema.json``) knows beyond them is optional there.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipeline.analysis.pruning import Pruned
from store.schema.vocabulary import ERROR, FEATURE, TOKEN
from store.views.graph import GraphView


@dataclass(frozen=True, kw_only=True)
class Captions:
    """What a graph is called and how its nodes are written in words.

    Attributes
    ----------
    slug
        Name of the graph: file name and part of addresses; see `slug_of`.
    scan
        Where feature cards are looked up: the transcoders' hub name, a model of
        Neuronpedia's, or, in the viewer alone, a folder that begins with ``./``.
    prompt
        The prompt's text.
    tokens
        Its tokens' texts, (position,).
    targets
        The attribution targets' texts, (target,).
    features
        What to call a feature, by (layer, feature); a feature that is not here has no label.
    details
        More entries of the metadata, such as ``info`` of Neuronpedia's schema.
    """

    slug: str
    scan: str
    prompt: str
    tokens: Sequence[str]
    targets: Sequence[str]
    features: Mapping[tuple[int, int], str] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)


def slug_of(prompt_hash: str, variant: str) -> str:
    """A graph's name of letters, digits, ``-`` and ``_``, which every address may hold.

    >>> slug_of("0b7c0e1d2f3a", "general@1.0")
    '0b7c0e1d2f3a-general-1-0'
    """
    return re.sub(r"[^A-Za-z0-9_-]", "-", f"{prompt_hash}-{variant}")


def cantor(layer: int, feature: int) -> int:
    """The one number that stands for a feature there (Cantor's pairing, both 0-based)."""
    return (layer + feature) * (layer + feature + 1) // 2 + feature


def graph_document(
    view: GraphView,
    shown: Pruned,
    captions: Captions,
    *,
    node_threshold: float,
    pinned: Iterable[int] = (),
) -> dict[str, Any]:
    """The pruned graph as the viewer's JSON.

    Parameters
    ----------
    view
        The stored graph.
    shown
        What of it to write, as `pipeline.analysis.stored_graph` gives it.
    captions
        Words for it.
    node_threshold
        The share of influence that `shown` holds; the viewer can prune further from there.
    pinned
        Rows of nodes to pin, those that are not shown left out.

    Returns
    -------
    dict
        Plain JSON without NaN; influences are cumulative shares, weights A[target, source]
        in logits or pre-activation.
    """
    arrays = view.item.arrays
    rows = np.flatnonzero(shown.nodes).tolist()
    ids = dict(zip(rows, _node_ids(view, rows), strict=True))
    first = len(arrays["node_kind"]) - len(arrays["target_token"])
    between = shown.nodes[arrays["edge_source"]] & shown.nodes[arrays["edge_target"]]
    edges = np.flatnonzero(shown.edges & between)
    return {
        "metadata": {
            "slug": captions.slug,
            "scan": captions.scan,
            "transcoder_list": [],
            "prompt_tokens": list(captions.tokens),
            "prompt": captions.prompt,
            "node_threshold": node_threshold,
            "schema_version": 1,
            **captions.details,
        },
        "qParams": {
            "pinnedIds": [ids[row] for row in pinned if row in ids],
            "supernodes": [],
            "linkType": "both",
            "clickedId": "",
            "sg_pos": "",
        },
        "nodes": [_node(view, row, ids[row], row - first, captions) for row in rows],
        "links": [
            {"source": ids[source], "target": ids[target], "weight": weight}
            for source, target, weight in zip(
                arrays["edge_source"][edges].tolist(),
                arrays["edge_target"][edges].tolist(),
                arrays["edge_weight"][edges].tolist(),
                strict=True,
            )
        ],
    }


def encoded(document: Mapping[str, Any]) -> bytes:
    """A document as UTF-8; half a surrogate pair becomes JSON's escape for it."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "backslashreplace")


def _node_ids(view: GraphView, rows: Sequence[int]) -> list[str]:
    """circuit-tracer's ids, but never one for two nodes.

    There, the error node of layer 2 and feature 2 of layer 0 at one position share an id
    (``0_2_POSITION``), and the viewer would draw the links of both at one of them: such an
    error node gets an id of its own here.
    """
    arrays = view.item.arrays
    n_layers = int(view.item.scalars["n_layers"])
    ids = []
    clashing = {
        (int(feature), int(position))
        for kind, layer, feature, position in zip(
            arrays["node_kind"][rows],
            arrays["node_layer"][rows],
            arrays["node_feature"][rows],
            arrays["node_position"][rows],
            strict=True,
        )
        if kind == FEATURE and layer == 0
    }
    for row in rows:
        kind = int(arrays["node_kind"][row])
        layer = int(arrays["node_layer"][row])
        position = int(arrays["node_position"][row])
        feature = int(arrays["node_feature"][row])
        if kind == FEATURE:
            ids.append(f"{layer}_{feature}_{position}")
        elif kind == ERROR:
            ids.append(f"0_{layer}_{position}" + ("_error" if (layer, position) in clashing else ""))
        elif kind == TOKEN:
            ids.append(f"E_{feature}_{position}")
        else:
            ids.append(f"{n_layers + 1}_{feature}_{position}")
    return ids


def _node(view: GraphView, row: int, node_id: str, target: int, captions: Captions) -> dict[str, Any]:
    """One node; `target` is its place among the targets where it is a logit."""
    arrays = view.item.arrays
    kind = int(arrays["node_kind"][row])
    layer = int(arrays["node_layer"][row])
    position = int(arrays["node_position"][row])
    feature = int(arrays["node_feature"][row])
    value = float(arrays["node_value"][row])
    node: dict[str, Any] = {
        "node_id": node_id,
        "ctx_idx": position,
        "token_prob": 0.0,
        "is_target_logit": False,
        "run_idx": 0,
        "reverse_ctx_idx": 0,
        "clerp": "",
        "influence": float(arrays["node_cumulative"][row]),
        "activation": None,
    }
    if kind == FEATURE:
        return node | {
            "feature": cantor(layer, feature),
            "layer": str(layer),
            "feature_type": "cross layer transcoder",
            "jsNodeId": f"{layer}_{feature}-0",
            "clerp": captions.features.get((layer, feature), ""),
            "activation": value,
        }
    if kind == ERROR:
        return node | {
            "feature": -1,
            "layer": str(layer),
            "feature_type": "mlp reconstruction error",
            "jsNodeId": f"{layer}_{position}-0",
        }
    if kind == TOKEN:
        return node | {
            "feature": position,
            "layer": "E",
            "feature_type": "embedding",
            "jsNodeId": f"E_{feature}-{position}",
        }
    return node | {
        "feature": feature,
        "layer": str(int(view.item.scalars["n_layers"]) + 1),
        "feature_type": "logit",
        "token_prob": value,
        "is_target_logit": target == 0,
        "jsNodeId": f"L_{feature}-{position}",
        "clerp": f'Output "{captions.targets[target]}" (p={value:.3f})',
        "influence": None,
    }
