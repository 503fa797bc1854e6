"""Making a manifest: a look at the models, without loading their weights."""

import re
from collections.abc import Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import torch
from pydantic import BaseModel, Field
from transformers import PretrainedConfig, PreTrainedModel

from pipeline.models.architectures import MAX_CONTEXT, architecture_of, lens_config, read_config
from pipeline.models.base_forms import CONFIG, empty_model, require_generation, require_weights
from pipeline.models.declared_base import require_declared_base
from pipeline.models.deltas import is_merged, rank_of, read_deltas
from pipeline.models.files import LIBRARY_ERRORS, file_of, folder_of, pinned, read_mapping, require_form
from pipeline.models.loading import DTYPES
from pipeline.models.lora import AdapterConfig, read_adapter_config, read_shapes, require_fitting_shape
from pipeline.models.replacement import require_same_sizes
from pipeline.models.transcoders import TranscoderFacts, pinned_set, read_transcoder_facts, require_set
from store.base.errors import UserError
from store.base.parsing import one_line
from store.documents.manifest import AdapterFacts, Manifest, ModelFacts, Source
from store.documents.variants import BASE, checkpoint_name

_CHECKPOINT: Final = re.compile(r"checkpoint-(\d{1,9})")
_STATE: Final = "trainer_state.json"


class _TrainerState(BaseModel):
    """What of ``trainer_state.json`` is read."""

    global_step: Annotated[int, Field(ge=0, le=10**9)]


def build_manifest(
    profile: str,
    *,
    model: str,
    transcoders: str,
    adapters: Mapping[str, str],
    focus: str,
    revision: str | None = None,
    transcoders_revision: str | None = None,
    dtype: str = "float32",
    aliases: Collection[str] = (),
) -> Manifest:
    """Look at the models, without loading weights: forms and shapes that do not fit end here.

    What is small is looked at first, so that a mistyped name or an adapter of another model is found
    before gigabytes are fetched from the hub.

    Parameters
    ----------
    profile
        Name of the profile.
    model, transcoders, adapters
        Local folders, or references ``owner/name[/folder][@revision]`` to the hub.
    focus
        The adapter that is traced on every prompt; ``base`` where there is none.
    revision, transcoders_revision
        Of these two, where it does not stand in the reference.
    dtype
        ``float32`` or ``bfloat16``.
    aliases
        Other names of the model, under which adapters may declare it.

    Raises
    ------
    UserError
        A folder is missing or not what it should be; the message names file and key, and what
        is expected and there.
    """
    if dtype not in DTYPES:
        raise UserError(
            f"profiles.{profile}.dtype is {dtype!r}; it must be one of {', '.join(DTYPES)} "
            "(float16 overflows where the checkpoint is bfloat16)."
        )
    if focus not in (adapters or {BASE}):
        raise UserError(
            f"profiles.{profile}.focus is {focus!r}, but the adapters are {', '.join(sorted(adapters))}."
        )
    base = pinned(model, revision, "model")
    transcoder_source = pinned_set(transcoders, transcoders_revision)
    sources = {name: pinned(at, None, "adapter") for name, at in sorted(adapters.items())}
    on_the_way = _checkpoints(focus, adapters[focus]) if adapters else {}
    empty = _empty_model(base)
    on_hub = base.revision is not None
    if not on_hub:
        _require_files(base, empty)
    shapes = {name: tuple(weight.shape) for name, weight in empty.state_dict().items()}

    def facts(name: str, source: Source) -> AdapterFacts:
        config = read_adapter_config(folder_of(source, "adapter"))
        require_declared_base(profile, name, config, base, aliases)
        return _adapter_facts(source, config, shapes, base.source)

    merged = {name for name, source in sources.items() if is_merged(source)}
    adapter_facts = {name: facts(name, source) for name, source in sources.items() if name not in merged}
    if transcoder_source.revision is None and not transcoder_source.repositories:
        require_set(transcoder_source)
    dictionary = read_transcoder_facts(transcoder_source)
    widths = [dictionary.d_model] * dictionary.n_layers
    require_same_sizes(transcoder_source.source, widths, empty.config)
    if on_hub:
        _require_files(base, empty)
    require_set(transcoder_source)
    adapter_facts |= {name: _merged_facts(sources[name], base) for name in sorted(merged)}
    return Manifest(
        profile=profile,
        dtype=dtype,
        focus=focus,
        base=base,
        transcoders=transcoder_source,
        adapters=adapter_facts,
        checkpoints={name: facts(name, source) for name, source in on_the_way.items()},
        model=_model_facts(empty, dictionary),
    )


def _checkpoints(name: str, source: str) -> dict[str, Source]:
    """What a local adapter was on its way, by name, first to last; the last is what it is.

    As Hugging Face's Trainer leaves them: ``checkpoint-<step>`` in the adapter's own folder, which
    says in ``trainer_state.json`` how many steps it took itself.
    """
    folder = Path(source)
    found = {
        int(match[1]): path.as_posix()
        for path in folder.glob("checkpoint-*")
        if (match := _CHECKPOINT.fullmatch(path.name)) and path.is_dir()
    }
    if not found:
        return {}
    if (steps := trained_steps(folder)) is not None:
        found[steps] = source
    return {checkpoint_name(name, step): pinned(found[step], None, "adapter") for step in sorted(found)}


def _adapter_facts(
    source: Source, config: AdapterConfig, shapes: Mapping[str, tuple[int, ...]], model: str
) -> AdapterFacts:
    """Facts of an adapter that fits the weights of a model."""
    changed = read_shapes(config)
    made_for = "" if config.base_model is None else f" (made for {one_line(config.base_model)})"
    adapter = f"{config.folder}{made_for}"
    for module, shape in changed.items():
        require_fitting_shape(adapter, module, shape, shapes.get(f"{module}.weight"), model)
    targets = tuple(sorted(changed))
    return AdapterFacts(
        **asdict(source),
        rank=config.rank,
        targets=targets,
        scaling=config.scaling(targets[0]),
        steps=trained_steps(config.folder),
    )


def _merged_facts(source: Source, base: Source) -> AdapterFacts:
    """Facts of a merged checkpoint, whose weights are compared with the base's."""
    deltas = read_deltas(source, base)
    return AdapterFacts(
        **asdict(source),
        rank=max(rank_of(delta) for delta in deltas.values()),
        targets=tuple(sorted(deltas)),
        scaling=1.0,
        steps=trained_steps(folder_of(source, "adapter")),
    )


def trained_steps(folder: Path) -> int | None:
    """How many steps an adapter was trained for; None where its folder does not say.

    Raises
    ------
    UserError
        ``trainer_state.json`` is no such document.
    """
    path = folder / _STATE
    if not path.is_file():
        return None
    return require_form(path, read_mapping(path), _TrainerState).global_step


def _empty_model(base: Source) -> PreTrainedModel:
    """The model that its configuration makes, which is one that can be traced; no weights are needed."""
    path = file_of(base, CONFIG, "model")
    config = read_config(path.parent, base.source)
    model = empty_model(config, path)
    _require_lens_form(config, path, base.source)
    return model


def _require_files(base: Source, empty: PreTrainedModel) -> None:
    """All files of a model, fetched if need be, and of one piece."""
    folder = folder_of(base, "model")
    require_weights(folder, empty)
    require_generation(folder)


def _model_facts(empty: PreTrainedModel, facts: TranscoderFacts) -> ModelFacts:
    """Sizes of a model, and of its transcoders."""
    config = empty.config
    return ModelFacts(
        architecture=architecture_of(config),
        n_layers=config.num_hidden_layers,
        d_model=config.hidden_size,
        vocab_size=config.vocab_size,
        context=min(config.max_position_embeddings, MAX_CONTEXT),
        d_transcoder=facts.d_transcoder,
        n_parameters=empty.num_parameters(),
        feature_input_hook=facts.feature_input_hook,
        feature_output_hook=facts.feature_output_hook,
    )


def _require_lens_form(config: PretrainedConfig, path: Path, source: str) -> None:
    try:
        lens_config(config, source, DTYPES["float32"], torch.device("cpu"))
    except LIBRARY_ERRORS as error:
        raise UserError(
            f"{path} makes no model that TransformerLens knows ({one_line(error)}); correct it, or copy or "
            "download it again."
        ) from error
