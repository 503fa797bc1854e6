"""What tracing one prompt takes beside the models, in bytes: rows and gradients, then graphs.

Counted as `pipeline.doctor.needs` says.
"""

from dataclasses import dataclass
from typing import Final

from pipeline.doctor.beside_models import FLOAT, INDEX
from pipeline.doctor.shapes import Shape
from pipeline.doctor.work import Work
from pipeline.params.project import Params

_LIVE: Final = 4
"""Gradients of a batch that are there at once while attention is pulled back."""
_EDGE: Final = 2 * FLOAT
"""Bytes that it takes in memory, where edges lie in the order of their targets."""
_SCORED: Final = FLOAT + _EDGE + INDEX
"""And more while its graph is made smaller: which edges are kept, these anew, and a score of each."""


def variant_bytes(shape: Shape, n_pos: int, active: int, selected: int) -> int:
    """What one variant of a prompt holds while it is traced: what is frozen, sources and rows."""
    layers, d_model = shape.n_layers, shape.d_model
    weights = layers * d_model * shape.d_head * (shape.n_key_heads + shape.n_heads)
    patterns = 2 * layers * shape.n_heads * n_pos**2
    streams = 6 * layers * n_pos * d_model
    return FLOAT * (weights + patterns + streams + 2 * active * d_model) + row_bytes(
        shape, n_pos, active, selected
    )


def row_bytes(shape: Shape, n_pos: int, active: int, selected: int) -> int:
    """Rows of the selected features: each as wide as what lies below, half of all on average."""
    return FLOAT * selected * (active + shape.n_layers * n_pos) // 2


@dataclass(frozen=True, kw_only=True)
class Traced:
    """Bytes that tracing one prompt in several variants takes beside the models.

    Attributes
    ----------
    device
        Rows, sources and gradients, where the device has memory of its own.
    memory
        Graphs, then.
    together
        Both, where they share one memory; they do not peak at once.
    """

    device: int
    memory: int
    together: int


def traced(shape: Shape, work: Work, params: Params, variants: int, *, attention: bool) -> Traced:
    """What tracing the longest prompt takes.

    All variants have their rows before the first graph is made, and let go of them one by one; an adapted
    one has its rows twice then, the second time in the attention mode. Graphs stay; at last they are sparse.

    Parameters
    ----------
    shape, work, params
        What is traced.
    variants
        How many together; base is one of them.
    attention
        Whether adapted ones are traced a second time.
    """
    graphs, n_pos = params.graphs, work.longest
    active = int(work.active * shape.n_layers * (n_pos - 1))
    selected = min(graphs.max_feature_nodes, active)
    twice = attention and variants > 1
    batch = min(graphs.batch_size, max(selected, work.targets))
    widest = max(shape.d_model, shape.n_heads * shape.d_head)
    square = FLOAT * n_pos**2 * shape.d_model if n_pos <= graphs.batch_size else 0
    gradient = FLOAT * n_pos * _LIVE * batch * widest
    one = variant_bytes(shape, n_pos, active, selected) + square
    again = row_bytes(shape, n_pos, active, selected) + square if twice else 0
    # Base's weights stay while those of an adapted variant are set.
    switched = shape.itemsize * shape.changed if variants > 1 else 0
    nodes = selected + (shape.n_layers + 1) * n_pos + work.targets
    dense = FLOAT * nodes**2
    all_graphs = dense * (variants + (variants - 1 if twice else 0))
    # An edge leads to a higher layer, as half of all pairs do, and to no earlier token, as half of these do.
    edges = selected * nodes // 4
    sparse = variants * (dense + _EDGE * edges) + _SCORED * edges
    begun = variants * one + max(gradient, dense)
    return Traced(
        device=switched + max(variants * one, one + again) + gradient,
        memory=max(all_graphs, sparse),
        together=switched + max(begun, one + again + all_graphs, sparse),
    )
