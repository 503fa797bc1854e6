"""Making a manifest: a look at the models, without loading their weights."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from pipeline.models.architectures import MAX_CONTEXT, architecture_of, read_config
from pipeline.models.files import folder_of, pinned
from pipeline.models.loading import DTYPES
from pipeline.models.lora import read_adapter_config, read_targets
from pipeline.models.transcoders import read_transcoder_facts
from store.base.errors import UserError
from store.documents.manifest import AdapterFacts, Manifest, ModelFacts, Source


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
) -> Manifest:
    """Look at the models, without loading weights.

    Parameters
    ----------
    profile
        Name of the profile.
    model, transcoders, adapters
        Local folders or hub names (an adapter's as ``name@revision`` where it has one).
    focus
        The adapter that is traced on every prompt.
    revision, transcoders_revision
        Revisions of hub names.
    dtype
        ``float32`` or ``bfloat16``.

    Raises
    ------
    UserError
        A folder is missing or not what it should be; the message names it.
    """
    if dtype not in DTYPES:
        raise UserError(
            f"profiles.{profile}.dtype is {dtype!r}; it must be one of {', '.join(DTYPES)} "
            "(float16 overflows where the checkpoint is bfloat16)."
        )
    if focus not in adapters:
        raise UserError(
            f"profiles.{profile}.focus is {focus!r}, but the adapters are {', '.join(sorted(adapters))}."
        )
    base = pinned(model, revision, "model")
    transcoder_source = pinned(transcoders, transcoders_revision, "transcoders")
    return Manifest(
        profile=profile,
        dtype=dtype,
        focus=focus,
        base=base,
        transcoders=transcoder_source,
        adapters={name: _adapter_facts(source) for name, source in sorted(adapters.items())},
        model=_model_facts(base, transcoder_source),
    )


def _adapter_facts(text: str) -> AdapterFacts:
    name, revision = text, None
    if not Path(text).is_dir() and "@" in text:
        name, _, revision = text.partition("@")
    source = pinned(name, revision, "adapter")
    config = read_adapter_config(folder_of(source, "adapter"))
    targets = read_targets(config)
    return AdapterFacts(
        **asdict(source),
        rank=config.rank,
        targets=targets,
        scaling=config.scaling(targets[0]) if targets else 0.0,
    )


def _model_facts(base: Source, transcoders: Source) -> ModelFacts:
    config = read_config(folder_of(base, "model"), base.source)
    with torch.device("meta"):  # counts parameters without allocating them
        n_parameters = AutoModelForCausalLM.from_config(config).num_parameters()
    facts = read_transcoder_facts(transcoders)
    return ModelFacts(
        architecture=architecture_of(config),
        n_layers=config.num_hidden_layers,
        d_model=config.hidden_size,
        vocab_size=config.vocab_size,
        context=min(config.max_position_embeddings, MAX_CONTEXT),
        d_transcoder=facts.d_transcoder,
        n_parameters=n_parameters,
        feature_input_hook=facts.feature_input_hook,
        feature_output_hook=facts.feature_output_hook,
    )
