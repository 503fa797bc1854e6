"""The store's figures: bytes, opening, listing, and what one more prompt makes DVC send."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from pipeline.exchange.conversion import rebuild
from pipeline.exchange.graph_metadata import facts_of_model
from store.base.hashing import digest, file_digest
from store.collections.item import Item
from store.collections.reader import open_collection
from store.collections.writer import ragged_dim, write_collection
from store.schema.graphs import FULL_GRAPHS, GRAPHS
from tests.bench.cases import TracedCase, organism_graphs, wide_graph

ROOT: Final = Path(__file__).parents[2]
_REPEATS: Final = 5
_ORGANISM_GRAPHS: Final = 8
_NEEDED: Final = ("token", "target_token", "target_probability", "active_", "zarr.json")
"""What of a partition of ``graphs`` rebuilding circuit-tracer's graph takes, by prefix."""


def byte_figures(folder: Path) -> dict[str, Any]:
    """Bytes against `to_pt`, and opening for display, on the organism and on the wide model."""
    organism = _stored(folder / "organism", organism_graphs(_ORGANISM_GRAPHS))
    wide = _stored(folder / "wide", [wide_graph(folder / "tokenizer")])
    return {
        "store_bytes_ratio_organism": organism["full"] / organism["pt"],
        "store_bytes_ratio_wide": wide["full"] / wide["pt"],
        "store_default_bytes_ratio": max(case["default"] / case["pt"] for case in (organism, wide)),
        "raw": {"bytes": {"organism": organism, "wide": wide}},
    }


def opening_figures(folder: Path) -> dict[str, Any]:
    """Nodes and edges of a graph at the thresholds of the first view, page cache warm.

    Against `torch.load` (weights only) and `prune_graph` of the same graph, each time in a fork that has
    opened nothing. What a `.pt` has no counterpart of, scores say, is not read. Both sides have their
    libraries imported: with imports counted the ratio is larger (in `raw`).
    """
    shown: list[tuple[str, str]] = []
    for name, count in (("organism", 4), ("wide", 1)):
        prompts = open_collection(folder / name / "graphs").prompts()
        shown.extend((name, prompt) for prompt in prompts[:count])
    pairs: dict[tuple[str, str], list[tuple[float, float]]] = {each: [] for each in shown}
    with _opener("pt") as (of_pt, open_pt), _opener("store") as (of_store, open_store):
        for name, prompt in shown * _REPEATS:
            before = open_pt(folder / name / f"{prompt}.pt")
            pairs[name, prompt].append((before, open_store(folder / name / "graphs", prompt, "base")))
    ratios, raw = [], {}
    for (name, prompt), of_graph in pairs.items():
        pt, store = (
            {"import": imports, "open": statistics.median(pair[side] for pair in of_graph)}
            for side, imports in enumerate((of_pt, of_store))
        )
        raw[f"{name} {prompt}"] = {
            "pt": pt,
            "store": store,
            "ratio_with_imports": sum(pt.values()) / sum(store.values()),
        }
        if name == "organism":
            ratios.append(statistics.median(before / after for before, after in of_graph))
    return {"store_open_speedup": statistics.median(ratios), "raw": {"opening": raw}}


def index_figures(folder: Path) -> dict[str, Any]:
    """Opening and listing a store of 10,000 synthetic prompts in two variants."""
    # The index has a row an item, and bounds a dimension: one array of each is as good as all, which would
    # take most of a minute to write. Of what is listed only names differ.
    of_dim = {ragged_dim(spec): name for name, spec in GRAPHS.arrays.items()}
    listed = replace(GRAPHS, arrays={name: GRAPHS.arrays[name] for name in of_dim.values()})
    whole = synthetic_graph(0, "base", n_active=3, n_nodes=4, n_edges=5)
    one = replace(whole, arrays={name: whole.arrays[name] for name in listed.arrays})
    items = (
        replace(one, key=digest([number, variant]), prompt_hash=digest(number)[:12], variant=variant)
        for number in range(10_000)
        for variant in ("base", "general@1.0")
    )
    begun = time.perf_counter()
    write_collection(folder / "index_10k", listed, items, provenance={})
    written = time.perf_counter() - begun
    with _opener("index") as (imports, opened):
        runs = [opened(folder / "index_10k") for _ in range(_REPEATS)]
    return {
        "index_10k_seconds": statistics.median(runs),
        "raw": {"index_10k": {"import": imports, "runs": runs, "write_seconds": written}},
    }


def push_figures(folder: Path) -> dict[str, Any]:
    """What `dvc push` sends after one prompt is added to 1,000, against the whole.

    DVC sends the files whose content is new, and the folder's listing. The graphs are a
    quarter of the organism's in size, so that what does not grow with them weighs more.
    """
    sizes = {"n_active": 400, "n_nodes": 40, "n_edges": 1_000}
    items = [synthetic_graph(number, "base", **sizes) for number in range(1_001)]
    write_collection(folder / "before", GRAPHS, items[:-1], provenance={})
    known = open_collection(folder / "before")  # else 999 graphs are written twice, to the same bytes
    write_collection(folder / "after", GRAPHS, items, provenance={}, previous=known)
    before, after = (_listing(folder / name) for name in ("before", "after"))
    had = {content for content, _ in before.values()}
    sent = {content: size for content, size in after.values() if content not in had}
    listing = len(json.dumps([{"md5": "0" * 32, "relpath": name} for name in after]))
    total = sum({content: size for content, size in after.values()}.values()) + listing
    return {
        "push_increment_share": (sum(sent.values()) + listing) / total,
        "raw": {
            "push": {
                "files": len(after),
                "files_sent": len(sent),
                "bytes_sent": sum(sent.values()),
                "bytes_listing": listing,
                "bytes_total": total,
            }
        },
    }


def _stored(folder: Path, cases: Iterable[TracedCase]) -> dict[str, Any]:
    """Store graphs and write them as `.pt`; checks that the store loses nothing."""
    folder.mkdir(exist_ok=True)
    kept = list(cases)
    for case in kept:
        case.graph.to_pt(str(folder / f"{case.item.prompt_hash}.pt"))
    write_collection(folder / "graphs", GRAPHS, (case.item for case in kept), provenance={})
    write_collection(folder / "full", FULL_GRAPHS, (case.full for case in kept), provenance={})
    graphs, fulls = open_collection(folder / "graphs"), open_collection(folder / "full")
    for case in kept:
        who = (case.item.prompt_hash, case.item.variant)
        item = graphs.item(*who)
        facts = facts_of_model(item, config=case.graph.cfg, tokenizer=case.tokenizer, scan=case.graph.scan)
        graph = rebuild(item, fulls.item(*who), facts)
        for name in ("adjacency_matrix", "active_features", "selected_features", "activation_values"):
            if not torch.equal(getattr(graph, name), getattr(case.graph, name)):
                raise RuntimeError(f"{name} of {who} is not what it was")
    needed = sum(
        size
        for name, (_, size) in _listing(folder / "graphs").items()
        if name.startswith(("index/", "zarr.json")) or name.split("/")[1].startswith(_NEEDED)
    )
    return {
        "graphs": len(kept),
        "nodes": [len(case.graph.adjacency_matrix) for case in kept],
        "pt": sum(path.stat().st_size for path in folder.glob("*.pt")),
        "full": needed + sum(size for _, size in _listing(folder / "full").values()),
        "default": sum(size for _, size in _listing(folder / "graphs").values()),
    }


@contextmanager
def _opener(what: str) -> Iterator[tuple[float, Callable[..., float]]]:
    """Seconds that imports take, and what gives those of one opening; see `tests.bench.opening`."""
    program = [sys.executable, "-m", "tests.bench.opening", what]
    pipe = subprocess.PIPE
    with subprocess.Popen(program, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        told, said = process.stdin, process.stdout

        def opened(*arguments: object) -> float:
            told.write(json.dumps([str(each) for each in arguments]) + "\n")
            told.flush()
            return float(said.readline())

        yield float(said.readline()), opened


def _listing(folder: Path) -> dict[str, tuple[str, int]]:
    """Digest and size of every file, by path."""
    return {
        path.relative_to(folder).as_posix(): (file_digest(path), path.stat().st_size)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def synthetic_graph(number: int, variant: str, *, n_active: int, n_nodes: int, n_edges: int) -> Item:
    """A graph item of random values: as hard to compress as real ones."""
    random = np.random.default_rng([number, *variant.encode()])
    lengths = {
        "position": 20,
        "target": 6,
        "active": n_active,
        "selected": n_active,
        "unselected": 0,
        "row": n_active + 6,
        "node": n_nodes,
        "edge": n_edges,
        # As many as the organism's graphs have on average, base's none included.
        "adapter": n_nodes // 2,
        "adapter_edge": n_edges // 20,
    }
    arrays = {}
    for name, spec in GRAPHS.arrays.items():
        shape: Sequence[int] = [lengths[dim] for dim in spec.dims]
        high = {"bool": 2, "int8": 4, "int16": 4}.get(spec.dtype, 1000)
        values = random.integers(0, high, shape) if "float" not in spec.dtype else random.normal(size=shape)
        arrays[name] = values.astype(spec.dtype)
    scalars = {
        name: float(random.random()) if "float" in spec.dtype else int(random.integers(1, 1000))
        for name, spec in GRAPHS.scalars.items()
    }
    key = digest([number, variant])
    return Item(
        key=key,
        prompt_hash=digest(number)[:12],
        variant=variant,
        arrays=arrays,
        scalars=scalars,
    )
