"""How long opening takes in a process that has opened nothing: ``python -m tests.bench.opening WHAT``.

Imports what `WHAT` needs and prints how many seconds that took. Then each line that it reads, arguments in
JSON, is opened in a fork, and its seconds are printed: importing torch anew takes ten times as long as what
is measured.
"""

import json
import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path


def _graph_from_store() -> Callable[..., object]:
    import pandas  # noqa: F401  what the tables need, and scipy the sums; torch is not counted either
    import scipy.sparse  # noqa: F401

    from pipeline.analysis.stored_graph import prune_stored
    from store.collections.reader import open_collection
    from store.views.graph import GraphView

    def opened(path: str, prompt_hash: str, variant: str) -> object:
        graph = GraphView(open_collection(Path(path)).item_on_demand(prompt_hash, variant))
        shown = prune_stored(graph, 0.8, 0.98)
        return graph.nodes[shown.nodes], graph.edges[shown.edges]

    return opened


def _graph_from_pt() -> Callable[..., object]:
    import torch
    from circuit_tracer.attribution.targets import LogitTarget
    from circuit_tracer.graph import Graph, prune_graph
    from circuit_tracer.utils.tl_nnsight_mapping import UnifiedConfig

    logging.disable(logging.WARNING)

    def opened(path: str) -> object:
        with torch.serialization.safe_globals([LogitTarget, UnifiedConfig]):
            graph = Graph(**torch.load(path, weights_only=True))
        return prune_graph(graph, 0.8, 0.98)

    return opened


def _index() -> Callable[..., object]:
    import pandas  # noqa: F401

    from store.collections.reader import open_collection

    def opened(path: str) -> object:
        collection = open_collection(Path(path))
        return collection.prompts(), collection.variants(), collection.index

    return opened


def main() -> None:
    """Import, and time one opening a line."""
    begun = time.perf_counter()
    opened = {"store": _graph_from_store, "pt": _graph_from_pt, "index": _index}[sys.argv[1]]()
    print(time.perf_counter() - begun, flush=True)
    for line in sys.stdin:
        fork = os.fork()
        if not fork:
            begun = time.perf_counter()
            opened(*json.loads(line))
            print(time.perf_counter() - begun, flush=True)
            os._exit(0)
        os.waitpid(fork, 0)


if __name__ == "__main__":
    main()
