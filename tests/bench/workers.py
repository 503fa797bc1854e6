"""How much faster two workers are than one process: ``python -m tests.bench.workers [PROMPTS [ROUNDS]]``.

Traces the graphs of so many prompts of the default profile, each time into an empty cache: by one process
with one thread, by two processes, and by Dask with two workers. A row an executor: seconds from the call to
the last item, with all that workers need to start; how many times faster than one process in the same
round, the median of rounds; whether items are the same to the byte. Needs the profile's artifacts and two
idle cores; ends with 1 if bytes differ.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from pipeline.attribution.graph_units import graph_unit, published_candidates, variants_by_prompt
from pipeline.items.cache import ItemCache
from pipeline.items.executors import executor_of
from pipeline.items.model_source import ModelSource
from pipeline.items.subject import Subject
from pipeline.params.project import load_params
from pipeline.params.runtime import RuntimeParams, Workers
from store.collections.reader import open_collection
from store.schema.candidates import CANDIDATES
from tests.support.shared_work import files_of

_WORKERS: Final = 2
_ALONE: Final = "local"


def _runtime(executor: str, runtime: RuntimeParams) -> RuntimeParams:
    """One thread a process."""
    workers = Workers(minimum=_WORKERS, maximum=_WORKERS)
    return runtime.model_copy(update={"threads": 1, "executor": executor, "workers": workers})


def main(prompts: int = 40, rounds: int = 2) -> None:
    """Compute by each executor, and compare."""
    params = load_params()
    runtimes = {name: _runtime(name, params.runtime) for name in (_ALONE, "processes", "dask")}
    subject = Subject("organism", runtimes[_ALONE])
    variants = variants_by_prompt(subject, params.graphs.every_variant_tag)
    own = published_candidates(open_collection(subject.folder / CANDIDATES.kind), variants)
    chosen = list(own.items())[:prompts]
    units = [graph_unit(subject, subject.prompts[prompt], of, params.graphs) for prompt, of in chosen]
    seconds: dict[str, list[float]] = {name: [] for name in runtimes}
    same = dict.fromkeys(runtimes, True)
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            caches = {name: ItemCache(Path(folder) / name) for name in runtimes}
            for name, runtime in runtimes.items():
                source = ModelSource(manifest=subject.manifest, runtime=runtime)
                begun = time.perf_counter()
                failures = executor_of(source)(units, source, caches[name], f"graphs, {name}")
                seconds[name].append(time.perf_counter() - begun)
                assert not failures, failures
                same[name] &= files_of(caches[name]) == files_of(caches[_ALONE])
    print(f"| {len(units)} units | seconds | times faster | same bytes |\n|---|---|---|---|")
    for name, spent in seconds.items():
        ratio = statistics.median(alone / each for alone, each in zip(seconds[_ALONE], spent, strict=True))
        print(f"| {name} | {statistics.median(spent):.1f} | {ratio:.2f} | {'yes' if same[name] else 'NO'} |")
    if not all(same.values()):
        sys.exit(1)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
