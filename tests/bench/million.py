"""A million prompts on paper: ``python -m tests.bench.million`` (``--help`` says of what).

Made-up stores of `SIZES` prompts, each in two variants, are written; what grows with the prompts is measured
on both, and goes on along the line through them. What is not measured is said in `ASSUMED`, and is printed
with the rest. The last table has what gives way first at the top.
"""

import argparse
import math
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import psutil

from dashboard.data.tables import ranking_frame
from store.collections.reader import open_collection
from store.collections.writer import partition_bits
from store.datasets.groups import open_dataset
from store.documents.prompts import read_prompts
from tests.support.large_store import PAIR, build
from tests.support.places import ROOT

SIZES: Final = (500, 2000)
MILLION: Final = 1_000_000
ASSUMED: Final = (
    "two variants a prompt, one of them base; two contrasts",
    "a situation a prompt; of its effects eight bytes an active feature are held (analysis/by_situation.py)",
    "the server may take 2 GB (issue 17)",
)
_FEATURES: Final = 4000
_SERVER: Final = 2e9


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _read(reader: Callable[[], Any]) -> tuple[float, float]:
    """CPU seconds of reading something, and the bytes of memory that it then takes."""
    begun = time.process_time()
    reader()
    spent = time.process_time() - begun
    tracemalloc.start()
    kept = reader()
    memory = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    del kept
    return spent, float(memory)


def measured(folder: Path, prompts: int) -> dict[str, float]:
    """What a made-up store of so many prompts takes, by name."""
    made = build(folder, prompts=prompts, features=_FEATURES, wide=0, nodes=1)
    graphs = made / "graphs"
    index_s, _ = _read(lambda: open_collection(graphs).index)
    # Its texts are Arrow's, which `tracemalloc` does not see.
    index_memory = float(open_collection(graphs).index.memory_usage(deep=True).sum())
    prompts_s, prompts_memory = _read(lambda: read_prompts(made / "prompts.json"))
    return {
        "prompts.json, bytes": (made / "prompts.json").stat().st_size,
        "index of graphs, bytes": _bytes(graphs / "index"),
        "candidates, bytes": _bytes(made / "candidates"),
        "index of graphs in memory, bytes": index_memory,
        "prompts in memory, bytes": prompts_memory,
        "reading the index, CPU s": index_s,
        "reading the prompts, CPU s": prompts_s,
    }


def ranking_bytes(made: Path) -> float:
    """Bytes of the server's memory that a ranked feature takes in one contrast."""
    table = open_dataset(made / "features", "ranking").load()
    contrast, domain = (str(table[dim].values[0]) for dim in ("contrast", "domain"))
    return (
        float(ranking_frame(table, contrast, domain).memory_usage(deep=True).sum()) / table.sizes["feature"]
    )


def organism_graph() -> float | None:
    """Bytes of a stored graph of the organism; None before `dvc repro`."""
    folder = ROOT / "artifacts" / "organism" / "graphs"
    return _bytes(folder) / len(open_collection(folder)) if folder.exists() else None


def report(folder: Path, *, features: int, active: int, graph: float) -> Iterator[str]:
    """Lines of the reckoning.

    Parameters
    ----------
    folder
        An empty one.
    features
        How many are ranked.
    active
        How many are active in a prompt.
    graph
        Bytes of a graph in the store.
    """
    less, more = (measured(folder / str(size), size) for size in SIZES)
    slope = {name: (more[name] - less[name]) / (SIZES[1] - SIZES[0]) for name in more}
    yield f"| what grows with prompts | at {SIZES[0]} | at {SIZES[1]} | a prompt | of a million |"
    yield "|---|---|---|---|---|"
    for name, one in slope.items():
        yield f"| {name} | {less[name]:.3g} | {more[name]:.3g} | {one:.3g} | {one * MILLION:.3g} |"
    row = ranking_bytes(folder / str(SIZES[0]) / "artifacts" / "demo")
    partitions = 2 ** partition_bits(MILLION)
    memory, disk = psutil.virtual_memory().total, psutil.disk_usage(str(folder)).total
    in_server = slope["index of graphs in memory, bytes"] + slope["prompts in memory, bytes"]
    situations = 8.0 * active * len(PAIR)
    yield ""
    yield f"Measured: {row:.0f} bytes a ranked feature in the server. Given: {graph:.3g} bytes a graph, "
    yield f"{features} features, {active} active in a prompt, {partitions} partitions at most."
    yield f"Assumed: {'; '.join(ASSUMED)}."
    yield ""
    yield "| what gives way | of a million prompts | limit | from so many prompts on |"
    yield "|---|---|---|---|"
    limits = [
        ("effects by situation, one score, in the memory of stage `features`", situations, memory),
        ("the same, read whole by stage `validation`", 4.0 * features * len(PAIR), memory),
        ("graphs on one disk", len(PAIR) * graph, disk),
        ("prompts and index in the server's memory", in_server, _SERVER - row * features),
        ("a partition, written anew for one more prompt", len(PAIR) * graph / partitions, memory),
    ]
    for name, one, limit in sorted(limits, key=lambda each: each[2] / each[1]):
        begins = math.floor(limit / one)
        yield f"| {name} | {one * MILLION / 1e9:.3g} GB | {limit / 1e9:.3g} GB | {begins} |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--features", type=int, default=2_000_000)
    parser.add_argument(
        "--active", type=int, default=8192, help="features active in a prompt; a graph's nodes"
    )
    parser.add_argument("--graph-bytes", type=float, help="of a stored graph; else the organism's")
    asked = parser.parse_args()
    graph = asked.graph_bytes or organism_graph()
    if graph is None:
        parser.error(
            "there is no artifacts/organism/graphs to measure: run `dvc repro`, or say --graph-bytes."
        )
    with tempfile.TemporaryDirectory(prefix="million-") as folder:
        for line in report(Path(folder), features=asked.features, active=asked.active, graph=graph):
            print(line, flush=True)


if __name__ == "__main__":
    main()
