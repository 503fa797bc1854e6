"""Exported graphs as networkx reads them."""

import io
import json

import networkx as nx


def of_graphml(content: bytes) -> nx.DiGraph:
    found = nx.read_graphml(io.BytesIO(content))
    # What networkx adds of its own: how its reader would write it again.
    for name in ("node_default", "edge_default"):
        found.graph.pop(name, None)
    return found


def of_json(content: bytes) -> nx.DiGraph:
    return nx.node_link_graph(json.loads(content), edges="edges")
