"""How long opening takes in a fresh process: ``python -m tests.bench.opening WHAT PATH...``.

Imports, prints an empty line and waits for one before it opens, so that several can import beside each other
and open one after the other. Prints one JSON object: `import` and `open`, in seconds. Imports are timed
apart, so that the ratio of the two `open` counts reading and pruning alone.
"""

import json
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path


def _graph_from_store(path: str, prompt_hash: str, variant: str) -> Callable[[], object]:
    import pandas  # noqa: F401  what the tables need; torch is not counted either

    from pipeline.analysis.stored_graph import prune_stored
    from store.collections.reader import open_collection
    from store.views.graph import GraphView

    def opened() -> object:
        graph = GraphView(open_collection(Path(path)).item_on_demand(prompt_hash, variant))
        shown = prune_stored(graph, 0.8, 0.98)
        return graph.nodes[shown.nodes], graph.edges[shown.edges]

    return opened


def _graph_from_pt(path: str) -> Callable[[], object]:
    import torch
    from circuit_tracer.attribution.targets import LogitTarget
    from circuit_tracer.graph import Graph, prune_graph
    from circuit_tracer.utils.tl_nnsight_mapping import UnifiedConfig

    logging.disable(logging.WARNING)

    def opened() -> object:
        with torch.serialization.safe_globals([LogitTarget, UnifiedConfig]):
            graph = Graph(**torch.load(path, weights_only=True))
        return prune_graph(graph, 0.8, 0.98)

    return opened


def _index(path: str) -> Callable[[], object]:
    import pandas  # noqa: F401

    from store.collections.reader import open_collection

    def opened() -> object:
        collection = open_collection(Path(path))
        return collection.prompts(), collection.variants(), collection.index

    return opened


def main() -> None:
    """Time one opening."""
    begun = time.perf_counter()
    makers = {"store": _graph_from_store, "pt": _graph_from_pt, "index": _index}
    opened = makers[sys.argv[1]](*sys.argv[2:])
    imported = time.perf_counter() - begun
    print(flush=True)
    sys.stdin.readline()
    begun = time.perf_counter()
    opened()
    print(json.dumps({"import": imported, "open": time.perf_counter() - begun}))


if __name__ == "__main__":
    main()
