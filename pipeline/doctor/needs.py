"""What each stage takes of memory, disk and time, reckoned from sizes alone: nothing is loaded.

Memory is counted as it is held: what is loaded, what is kept beside it, and the largest of what comes and
goes. `tests.bench` compares it with what a process really takes. Time counts multiplications, at the speed of
this machine's matrix products, so it is a lower bound, and says which stage is long.
"""

from dataclasses import dataclass, replace
from typing import Final

from pipeline.doctor.shapes import Shape
from pipeline.doctor.work import Work
from pipeline.params.project import Params

_FLOAT: Final = 4
_INDEX: Final = 8
"""Bytes of an int64."""
_LIVE: Final = 4
"""Gradients of a batch that are there at once while attention is pulled back."""
_SPARSE: Final = 3
"""Numbers of a float32's size that an edge has in a sparse graph: its value, and where it is."""
_BLOCK: Final = 3 * 2**26
"""Activations of one layer's whole dictionary on a batch of tokens, 64 MB, and what is made of them."""


@dataclass(frozen=True, kw_only=True)
class Need:
    """What a stage takes.

    Attributes
    ----------
    stages
        Their names; those that take alike stand together.
    device, memory
        Bytes at the peak, on the device and in the machine's memory beside it; on a CPU both are one,
        their sum.
    disk
        Bytes that it writes.
    operations
        Multiplications and additions.
    lowered_by
        The parameters that make it less.
    """

    stages: str
    device: int
    memory: int
    disk: int
    operations: float
    lowered_by: str


def loaded(shape: Shape, *, resident: bool) -> tuple[int, int]:
    """Bytes of the replacement model at the peak of loading it, and from then on.

    Parameters
    ----------
    shape
        Of the subject.
    resident
        Whether transcoders are held; else one layer of them at a time.
    """
    dictionary = shape.dictionary if resident else shape.dictionary // shape.n_layers
    own = shape.itemsize * shape.n_parameters
    apart = shape.kept if shape.stored > shape.itemsize else 0  # else shared with the source
    mixed = {shape.itemsize, shape.stored} != {_FLOAT}
    reading = (_FLOAT + (2 if mixed else 0)) * shape.n_parameters
    part = 0 if shape.itemsize == _FLOAT else 2 * _FLOAT * shape.largest
    building = own + apart + shape.replacement + part + dictionary
    return max(reading, building), shape.replacement + shape.kept + dictionary


def health_bytes(shape: Shape, *, resident: bool) -> int:
    """Peak of stage `models`, which compares all variants with Hugging Face's model in float32."""
    exact = _FLOAT * shape.n_parameters
    replacement = exact * shape.replacement // (shape.itemsize * shape.n_parameters)
    whole = resident and shape.itemsize == _FLOAT
    dictionary = shape.dictionary if whole else shape.dictionary // shape.n_layers
    float32 = exact + max(_FLOAT * shape.changed, replacement + dictionary)
    return max(float32, loaded(shape, resident=resident)[0])


def variant_bytes(shape: Shape, n_pos: int, active: int, selected: int) -> int:
    """What one variant of a prompt holds while it is traced: what is frozen, sources and rows."""
    layers, d_model = shape.n_layers, shape.d_model
    weights = layers * d_model * shape.d_head * (shape.n_key_heads + shape.n_heads)
    patterns = 2 * layers * shape.n_heads * n_pos**2
    streams = 6 * layers * n_pos * d_model
    return _FLOAT * (weights + patterns + streams + 2 * active * d_model) + row_bytes(
        shape, n_pos, active, selected
    )


def row_bytes(shape: Shape, n_pos: int, active: int, selected: int) -> int:
    """Rows of the selected features: each as wide as what lies below, half of all on average."""
    return _FLOAT * selected * (active + shape.n_layers * n_pos) // 2


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
    square = _FLOAT * n_pos**2 * shape.d_model if n_pos <= graphs.batch_size else 0
    gradient = _FLOAT * n_pos * _LIVE * batch * widest
    one = variant_bytes(shape, n_pos, active, selected) + square
    again = row_bytes(shape, n_pos, active, selected) + square if twice else 0
    # Base's weights stay while those of an adapted variant are set.
    switched = shape.itemsize * shape.changed if variants > 1 else 0
    nodes = selected + (shape.n_layers + 1) * n_pos + work.targets
    dense = _FLOAT * nodes**2
    all_graphs = dense * (variants + (variants - 1 if twice else 0))
    sparse = variants * (dense + _FLOAT * _SPARSE * nodes**2 // 2)
    begun = variants * one + max(gradient, dense)
    return Traced(
        device=switched + max(variants * one, one + again) + gradient,
        memory=max(all_graphs, sparse),
        together=switched + max(begun, one + again + all_graphs, sparse),
    )


def needs(shape: Shape, work: Work, params: Params, *, resident: bool, on_gpu: bool) -> list[Need]:
    """What each stage takes, in the order of the pipeline.

    Parameters
    ----------
    shape, work, params
        Of the profile.
    resident
        Whether the device has room for all transcoders.
    on_gpu
        Whether device and memory are two.
    """
    peak, held = loaded(shape, resident=resident)
    variants = 1 + shape.n_adapters
    pass_ = 2.0 * shape.n_parameters  # operations of a token
    adapted = shape.itemsize * (shape.n_parameters + shape.changed)
    switched = shape.itemsize * shape.changed if shape.n_adapters else 0  # as in `traced`
    # All answers of a question to one variant are sampled together; there are no more of them.
    batch = min(params.answers.batch, params.answers.samples or params.answers.batch)
    cache = 2 * shape.n_layers * shape.n_key_heads * shape.d_head * shape.itemsize
    texts = _texts(shape, work, cache, batch)
    settings = _texts(shape, work, cache, params.answers.batch)
    answers = work.questions * (params.answers.samples or 0) * variants * work.answer_tokens
    doses = 1 + max(len(params.dose.scales), params.dose.checkpoints)
    found = [
        Need(
            stages="models",
            device=health_bytes(shape, resident=resident),
            memory=0,
            disk=0,
            operations=pass_ * 40 * variants,
            lowered_by="fewer adapters; a GPU or machine with more memory",
        ),
        _tracing("graphs", shape, work, params, 2, work.prompts, (peak, held), on_gpu=on_gpu),
        _tracing("dose", shape, work, params, doses, work.dose_prompts, (peak, held), on_gpu=on_gpu),
        Need(
            stages="activations, features",
            device=max(peak, held + max(switched, _BLOCK)),
            memory=12 * shape.n_layers * shape.d_transcoder * params.features.contexts,
            disk=12 * int(work.tokens * work.active * shape.n_layers) * variants,
            operations=work.tokens * variants * (pass_ + shape.dictionary / shape.itemsize),
            lowered_by="dtype bfloat16; features.contexts",
        ),
        Need(
            stages="answers, baseline",
            device=adapted + texts,
            memory=0,
            disk=4 * answers,
            operations=answers * pass_,
            lowered_by="answers.batch; answers.samples, answers.max_new_tokens",
        ),
        Need(
            stages="validation, faithfulness, interventions, recipes, steered",
            device=held + settings,
            memory=0,
            disk=0,
            operations=work.tokens * variants * pass_ * params.steered.top,
            lowered_by="answers.batch, steered.batch; steered.top",
        ),
    ]
    if not work.dose_prompts:
        found = [need for need in found if need.stages != "dose"]
    if not on_gpu:
        found = [need if need.stages in _TRACED else _on_cpu(need) for need in found]
    return found


_TRACED: Final = ("graphs", "dose")


def _texts(shape: Shape, work: Work, cache: int, rows: int) -> int:
    """Bytes of so many texts that are sampled at once: keys and values, and logits of one step."""
    return rows * (work.longest + work.answer_tokens) * cache + 3 * _FLOAT * rows * shape.vocabulary


def _tracing(
    stage: str,
    shape: Shape,
    work: Work,
    params: Params,
    variants: int,
    prompts: int,
    models: tuple[int, int],
    *,
    on_gpu: bool,
) -> Need:
    attention, (peak, held) = stage == "graphs", models
    takes = traced(shape, work, params, variants, attention=attention)
    device = max(peak, held + (takes.device if on_gpu else takes.together))
    n_pos = max(1, work.tokens // max(1, work.prompts))
    active = work.active * shape.n_layers * n_pos
    selected = min(params.graphs.max_feature_nodes, active)
    heads = shape.d_head * (shape.n_heads + shape.n_key_heads)
    row = n_pos / 2 * shape.d_model * (active / n_pos + shape.n_layers / 2 * heads)
    rows = selected * (variants + (variants - 1 if attention else 0))
    return Need(
        stages=stage,
        device=device,
        memory=takes.memory if on_gpu else device,
        disk=_FLOAT * _SPARSE * params.graphs.keep_edges * prompts * variants,
        operations=2.0 * prompts * rows * row,
        lowered_by="graphs.max_feature_nodes, graphs.batch_size; shorter prompts"
        + ("" if attention else "; dose.scales, dose.checkpoints"),
    )


def _on_cpu(need: Need) -> Need:
    both = need.device + need.memory
    return replace(need, device=both, memory=both)
