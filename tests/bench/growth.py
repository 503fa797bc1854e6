"""How time and memory of stage `graphs` grow with what there is: ``python -m tests.bench.growth``.

One random Llama of three layers whose sizes are doubled, one after the other; a graph has as many nodes as
`_NODES` allows. Printed are CPU seconds, the peak of memory beside what the model takes, and the exponent
b of size**b from each size to the next: 1 is linear, 0 does not grow.
"""

import ctypes
import gc
import math
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import torch

from pipeline.attribution.prompt_items import prompt_items
from pipeline.items.units import ItemName
from pipeline.models.pool import ModelPool
from pipeline.params.project import load_params
from tests.bench.doctor_peak import TARGETS, ids
from tests.bench.peak import peak_bytes
from tests.support.builders import Checkpoint, make_checkpoint

_NODES: Final = 1024
_WIDTH: Final = 64
_SCALES: Final = ("base", "general@1.0", "general@0.5", "general@0.25", "narrow@1.0")


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What is traced: so many prompts of so many tokens, features of a layer, variants of a prompt."""

    prompts: int = 1
    length: int = 32
    dictionary: int = 512
    variants: int = 2


AXES: Final[dict[str, tuple[int, ...]]] = {
    "prompts": (1, 2, 4),
    "length": (16, 32, 64),
    "dictionary": (512, 1024, 2048),
    "variants": (2, 3, 5),
}


def measured(folder: Path, sizes: Sizes) -> tuple[float, int]:
    """CPU seconds, and bytes at the peak beside the loaded model, of all items of so many prompts."""
    path = folder / str(sizes.dictionary)
    if not path.exists():
        make_checkpoint(path, n_layers=3, d_model=_WIDTH, d_transcoder=sizes.dictionary)
    checkpoint = Checkpoint(folder=path)
    pool, variants = ModelPool(checkpoint.manifest()), _SCALES[: sizes.variants]
    keep = {"node_threshold", "edge_threshold", "keep_node_threshold", "keep_edges"}
    params = load_params().graphs
    _trace(pool, 4, variants, params.model_dump(include=keep), params.batch_size)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # else what smaller sizes have freed counts as there before
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before, begun = peak_bytes(), time.process_time()
    for _ in range(sizes.prompts):
        _trace(pool, sizes.length, variants, params.model_dump(include=keep), params.batch_size)
    return time.process_time() - begun, peak_bytes() - before


def _trace(
    pool: ModelPool, length: int, variants: tuple[str, ...], keep: dict[str, float], batch_size: int
) -> None:
    prompt_items(
        pool,
        ids(length),
        [ItemName(key="0" * 64, prompt_hash="0" * 12, variant=variant) for variant in variants],
        targets=list(range(TARGETS)),
        own_candidates={variant: list(range(TARGETS)) for variant in variants},
        max_feature_nodes=_NODES,
        batch_size=batch_size,
        adapter_components=8,
        **keep,
    )


def table(folder: Path) -> Iterator[str]:
    """Lines of a table in Markdown, as they are measured."""
    yield "| what grows | sizes | CPU s | exponent | peak MB | exponent |"
    yield "|---|---|---|---|---|---|"
    for axis, values in AXES.items():
        found = [measured(folder, replace(Sizes(), **{axis: value})) for value in values]
        cells = [", ".join(str(value) for value in values)]
        for numbers, form, unit in zip(zip(*found, strict=True), ("{:.2f}", "{:.0f}"), (1, 1e6), strict=True):
            cells.append(", ".join(form.format(number / unit) for number in numbers))
            cells.append(", ".join(f"{exponent:.1f}" for exponent in exponents(values, numbers)))
        yield f"| {axis} | {' | '.join(cells)} |"


def exponents(sizes: tuple[int, ...], numbers: tuple[float, ...]) -> list[float]:
    """b of size**b from each size to the next; NaN where a number is 0."""
    steps = zip(zip(sizes, numbers, strict=True), zip(sizes[1:], numbers[1:], strict=False), strict=False)
    return [
        math.log(after / before) / math.log(larger / size) if before > 0 and after > 0 else math.nan
        for (size, before), (larger, after) in steps
    ]


if __name__ == "__main__":
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="growth-") as folder:
        for line in table(Path(folder)):
            print(line, flush=True)
