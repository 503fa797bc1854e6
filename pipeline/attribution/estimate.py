"""What a trace will take in time and memory, said before it is made.

Once the logits have their rows, all sizes are known but one: of which layers the features
will be that are selected. They are taken to be spread over the layers as the active ones are.
"""

import copy
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Final

import torch

from pipeline.attribution.engine import ROUND, Attribution

_FLOAT: Final = 4
"""Bytes of a float32."""
_LIVE: Final = 4
"""Gradients of a batch that are there at once while attention is pulled back."""
_TRIAL: Final = 50
"""The trial takes one row in so many."""
_PASSES: Final = 2
"""Passes over all entries in making the graph: gathering and writing them."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What one trace holds, from here on.

    Attributes
    ----------
    selected, active
        Features that become nodes, of those that are active.
    row_bytes, graph_bytes, gradient_bytes
        The engine's rows with those that are there, the graph's dense adjacency (on the CPU)
        with the largest block that is copied into it, and the gradients of a batch with what
        they are contracted with for tokens.
    """

    selected: int
    active: int
    row_bytes: int
    graph_bytes: int
    gradient_bytes: int

    @property
    def bytes(self) -> int:
        """Memory at the peak: beside the rows first the gradients, then the graph."""
        return self.row_bytes + max(self.graph_bytes, self.gradient_bytes)


@dataclass(frozen=True, kw_only=True)
class Estimate(Sizes):
    """What one trace takes, from here on.

    Attributes
    ----------
    seconds
        Time, on this machine as it is at the moment.
    """

    seconds: float

    def sentence(self) -> str:
        """Like ``about 4,096 of 18,457 features, 0.2 s, 0.4 GB``."""
        long = self.seconds >= 100
        duration = f"{self.seconds / 60:,.0f} min" if long else f"{max(self.seconds, 0.1):.1f} s"
        return (
            f"about {self.selected:,} of {self.active:,} features, {duration}, "
            f"{max(self.bytes / 1e9, 0.1):,.1f} GB"
        )


@torch.no_grad()
def estimate(attribution: Attribution, max_feature_nodes: int) -> Estimate:
    """Estimate `Attribution.select` and what is made of its rows.

    A small batch of the real work is timed and thrown away, a fiftieth of the whole;
    `attribution` is as it was.

    Parameters
    ----------
    attribution
        With the logits' rows and no others.
    max_feature_nodes
        As for `Attribution.select`.
    """
    sizes = trace_sizes(attribution, max_feature_nodes)
    logits = len(attribution.targets) * attribution.rows[0].edges.shape[1]
    entries = sizes.row_bytes / _FLOAT - logits
    seconds = _seconds(attribution, sizes.selected, entries) if sizes.selected else 0.0
    return Estimate(**asdict(sizes), seconds=seconds)


def trace_sizes(attribution: Attribution, max_feature_nodes: int) -> Sizes:
    """What `estimate` counts, without its trial; arguments as there."""
    sources = attribution.sources
    n_layers, n_pos, d_model = sources.errors.shape
    n_active, n_logits = len(sources.features), len(attribution.targets)
    selected = min(max_feature_nodes, n_active)
    extra = sources.extra.n_columns
    share = selected / max(n_active, 1)
    counts = torch.bincount(sources.features[:, 0], minlength=n_layers).tolist()
    widths = [sources.width(layer) + extra for layer in range(n_layers + 1)]
    blocks = [share * count * width for count, width in zip(counts, widths[:-1], strict=True)]
    n_nodes = selected + (n_layers + 1) * n_pos + n_logits
    widest = max(d_model, attribution.frozen.layers[0].output.shape[0])
    held = attribution.tokens_written
    batch = min(attribution.batch_size, max(selected, n_logits))
    return Sizes(
        selected=selected,
        active=n_active,
        row_bytes=_FLOAT * int(sum(blocks) + n_logits * widths[-1]),
        graph_bytes=_FLOAT * int(n_nodes**2 + max(blocks)),
        gradient_bytes=_FLOAT * n_pos * _LIVE * batch * widest + (0 if held is None else held.nbytes),
    )


def _seconds(attribution: Attribution, selected: int, entries: float) -> float:
    """A trial's time by its share of the multiplications, and of the entries gone over."""
    work = _multiplications(attribution)
    n_active, rows_a_round = len(work), ROUND * attribution.batch_size
    # In the middle of the active features: of middle layers, and seldom all of one position.
    size = min(max(1, selected // _TRIAL), attribution.batch_size)
    start = (n_active - size) // 2
    chosen = torch.arange(start, start + size, device=work.device)
    trial = copy.copy(attribution)
    trial.rows, trial.visited = [], torch.zeros_like(attribution.visited)
    rows = _timed(lambda: trial.add(chosen), work.device)
    ranking = _timed(trial.influence, work.device)
    an_entry = ranking / sum(rows.edges.numel() for rows in trial.rows)
    rounds = math.ceil(selected / rows_a_round) if selected < n_active else 0
    share = selected / n_active * float(work.sum() / work[chosen].sum())
    return rows * share + an_entry * entries * (rounds / 2 + _PASSES)


def _multiplications(attribution: Attribution) -> torch.Tensor:
    """Of each active feature's row, by layer and position; (active,) float64."""
    sources, lines = attribution.sources, attribution.frozen.layers[0]
    n_pos, d_model = sources.tokens.shape
    layer, position = sources.features[:, :2].T
    widths = [sources.width(number) for number in range(len(attribution.frozen.layers))]
    columns = torch.tensor(widths, device=layer.device, dtype=torch.float64)[layer]
    attention = len(lines.output) + len(lines.value)  # from the residual stream to values and back
    multiplications: torch.Tensor = (position + 1) * d_model * (columns / n_pos + layer * attention)
    return multiplications


def _timed(call: Callable[[], object], device: torch.device) -> float:
    start = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start
