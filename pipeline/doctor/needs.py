"""What each stage takes of memory, disk and time, reckoned from sizes alone: nothing is loaded.

Memory is counted as it is held: what is loaded, what is kept beside it, and the largest of what comes and
goes. `tests.bench` compares it with what a process really takes. Time counts multiplications, at the speed of
this machine's matrix products, so it is a lower bound, and says which stage is long.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from pipeline.doctor.beside_models import (
    FLOAT,
    activity_bytes,
    batch_bytes,
    context_bytes,
    forced_bytes,
    held_bytes,
    norm_bytes,
    read_bytes,
    sampled_bytes,
)
from pipeline.doctor.shapes import Shape
from pipeline.doctor.tracing import traced
from pipeline.doctor.work import Work
from pipeline.params.project import Params

_KEPT: Final = 3 * FLOAT
"""Bytes that an edge takes in an artifact: its value, and where it is."""
_MEMBERS: Final = 2
"""Features of a trial, at most."""


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
    mixed = {shape.itemsize, shape.stored} != {FLOAT}
    reading = (FLOAT + (2 if mixed else 0)) * shape.n_parameters
    part = 0 if shape.itemsize == FLOAT else 2 * FLOAT * shape.largest
    building = own + apart + shape.replacement + part + dictionary
    return max(reading, building), shape.replacement + shape.kept + dictionary


def health_bytes(shape: Shape, *, resident: bool) -> int:
    """Peak of stage `models`, which compares all variants with Hugging Face's model in float32."""
    exact = FLOAT * shape.n_parameters
    replacement = exact * shape.replacement // (shape.itemsize * shape.n_parameters)
    whole = resident and shape.itemsize == FLOAT
    dictionary = shape.dictionary if whole else shape.dictionary // shape.n_layers
    float32 = exact + max(FLOAT * shape.changed, replacement + dictionary)
    return max(float32, loaded(shape, resident=resident)[0])


def needs(
    shape: Shape, work: Work, params: Params, *, resident: bool, on_gpu: bool, mapped: bool
) -> list[Need]:
    """What each stage takes, in the order of the pipeline.

    Parameters
    ----------
    shape, work, params
        Of the profile.
    resident
        Whether the device has room for all transcoders.
    on_gpu
        Whether device and memory are two.
    mapped
        Whether transcoders are files that are mapped into memory, which they take where they are read.
    """
    peak, held = loaded(shape, resident=resident)
    variants = 1 + shape.n_adapters
    pass_ = 2.0 * shape.n_parameters  # operations of a token
    adapted = shape.itemsize * (shape.n_parameters + shape.changed)
    # Of encoders steering reads the rows alone of what it sets or multiplies.
    dictionary = shape.dictionary - (shape.encoders if mapped else 0)
    steering = adapted + (dictionary if resident else dictionary // shape.n_layers)
    switched = shape.itemsize * shape.changed if shape.n_adapters else 0  # as in `traced`
    # All answers of a question to one variant are sampled together; there are no more of them.
    batch = min(params.answers.batch, params.answers.samples or params.answers.batch)
    asked = max(sampled_bytes(shape, work, params.steered.batch), forced_bytes(shape, work))
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
            stages="activations, components, features",
            device=max(peak, held + max(switched, read_bytes(shape))),
            memory=context_bytes(shape, work, params),
            disk=12 * int(work.tokens * work.active * shape.n_layers) * variants,
            operations=work.tokens * variants * (pass_ + shape.dictionary / shape.itemsize),
            lowered_by="dtype bfloat16; features.contexts, features.window",
        ),
        Need(
            stages="answers, baseline",
            device=adapted + sampled_bytes(shape, work, batch),
            memory=0,
            disk=4 * answers,
            operations=answers * pass_,
            lowered_by="answers.batch; answers.samples, answers.max_new_tokens",
        ),
        *_trying(shape, work, params, (peak, held, switched), on_gpu=on_gpu),
        Need(
            stages="faithfulness",
            device=max(peak, held + max(switched, held_bytes(shape, work, params))),
            memory=0,
            disk=0,
            operations=work.tokens * pass_ * len(params.faithfulness.orders) * len(params.faithfulness.ks),
            lowered_by="shorter prompts; a smaller dictionary",
        ),
        Need(
            stages="steered",
            device=steering + max(asked, norm_bytes(shape)),
            memory=0,
            disk=0,
            operations=pass_ * work.answer_tokens * params.steered.step_answers * params.steered.top,
            lowered_by="steered.batch; max_answer_tokens of the profile",
        ),
    ]
    if not work.dose_prompts:
        found = [need for need in found if need.stages != "dose"]
    if not on_gpu:
        found = [need if need.stages in _TRACED else _on_cpu(need) for need in found]
    return found


_TRACED: Final = ("graphs", "dose")


def _trying(
    shape: Shape, work: Work, params: Params, models: tuple[int, int, int], *, on_gpu: bool
) -> Iterator[Need]:
    """Stages that try settings on a prompt, many at once.

    Behaviours share validation's estimate, as their prompts are shorter, and recipes do, of a dozen features.
    """
    (peak, held, switched), layers = models, shape.n_layers
    few, together = (min(layers, n) for n in (params.interventions.features, params.validation.top))
    variants = 1 + shape.n_adapters
    # Validation has all layers in two variants. Trials have few, of a partner and with its ending, too.
    for stages, seen, members, features, lowered_by in (
        (
            "validation, behaviour_interventions, recipes",
            2 * layers,
            together,
            params.validation.features,
            "top",
        ),
        ("interventions", 4 * few, min(few, _MEMBERS), params.interventions.features, "features"),
    ):
        # Controls are matched by the layers of a setting, of which one at a time is changed.
        matched = activity_bytes(shape, work, members + 1)
        batch = batch_bytes(shape, work, frozen=stages == "interventions")
        yield Need(
            stages=stages,
            device=max(peak, held + max(switched, batch, 0 if on_gpu else matched)),
            memory=activity_bytes(shape, work, seen) + (matched if on_gpu else 0),
            disk=0,
            operations=2.0 * shape.n_parameters * work.tokens * variants * features,
            lowered_by=f"shorter prompts; {stages.partition(',')[0]}.{lowered_by}",
        )


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
        disk=_KEPT * params.graphs.keep_edges * prompts * variants,
        operations=2.0 * prompts * rows * row,
        lowered_by="graphs.max_feature_nodes, graphs.batch_size; shorter prompts"
        + ("" if attention else "; dose.scales, dose.checkpoints"),
    )


def _on_cpu(need: Need) -> Need:
    both = need.device + need.memory
    return replace(need, device=both, memory=both)
