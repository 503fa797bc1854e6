"""``models.json``: what everything downstream of model making knows of the models."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from pipeline.errors import UserError
from pipeline.models.adapters import read_adapter_config, read_targets
from pipeline.models.architectures import MAX_CONTEXT, require_supported
from pipeline.models.sources import Source, describe, folder_of, require_file
from pipeline.models.transcoders import read_transcoder_facts
from pipeline.models.variants import Variant
from store.atomic import write_text
from store.errors import ArtifactMissingError, UnknownFormatError

MANIFEST_VERSION: Final = 1
# float16 is missing on purpose: its activations overflow where the checkpoint is bfloat16 (trap 4).
DTYPES: Final = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True, kw_only=True)
class AdapterFacts(Source):
    """An adapter: its source, rank, target modules and scaling at scale 1."""

    rank: int
    targets: tuple[str, ...]
    scaling: float


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """Sizes of the base model and of its transcoders."""

    architecture: str
    n_layers: int
    d_model: int
    vocab_size: int
    context: int
    d_transcoder: int
    n_parameters: int
    feature_input_hook: str
    feature_output_hook: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """One subject: base model, transcoders and adapters, with fingerprints."""

    profile: str
    dtype: str
    focus: str
    base: Source
    transcoders: Source
    adapters: Mapping[str, AdapterFacts]
    model: ModelFacts

    def variant(self, text: str) -> Variant:
        """The variant of that name; UserError lists those there are."""
        return Variant.parse(text, self.adapters)

    def adapter(self, variant: Variant) -> AdapterFacts:
        """The adapter of a variant that is not base."""
        if variant.name not in self.adapters:
            Variant.parse(str(variant), self.adapters)
        return self.adapters[variant.name]

    def fingerprint(self, variant: Variant) -> dict[str, Any]:
        """Everything of the models that determines an item of a variant (trap 15)."""
        return {
            "base": self.base.fingerprint,
            "transcoders": self.transcoders.fingerprint,
            "adapter": None if variant.is_base else self.adapter(variant).fingerprint,
            "scale": variant.scale,
            "dtype": self.dtype,
        }


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
        raise UserError(f"profiles.{profile}.focus is {focus!r}, but the adapters are {', '.join(sorted(adapters))}.")
    base = describe(model, revision, "model")
    transcoder_source = describe(transcoders, transcoders_revision, "transcoders")
    return Manifest(
        profile=profile,
        dtype=dtype,
        focus=focus,
        base=base,
        transcoders=transcoder_source,
        adapters={name: _adapter_facts(source) for name, source in sorted(adapters.items())},
        model=_model_facts(base, transcoder_source),
    )


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write ``models.json`` atomically, byte-stable."""
    document = {"format_version": MANIFEST_VERSION, **asdict(manifest)}
    write_text(path, json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def read_manifest(path: Path) -> Manifest:
    """Read ``models.json``.

    Raises
    ------
    ArtifactMissingError
        There is no such file.
    UnknownFormatError
        It was written by another format version.
    """
    if not path.exists():
        raise ArtifactMissingError(f"{path} does not exist yet; `dvc repro` makes it.")
    document = json.loads(path.read_text(encoding="utf-8"))
    if document.pop("format_version", None) != MANIFEST_VERSION:
        raise UnknownFormatError(f"{path} is of another format version; run `dvc repro` to make it anew.")
    adapters = {
        name: AdapterFacts(**{**facts, "targets": tuple(facts["targets"])})
        for name, facts in document["adapters"].items()
    }
    return Manifest(
        profile=document["profile"],
        dtype=document["dtype"],
        focus=document["focus"],
        base=Source(**document["base"]),
        transcoders=Source(**document["transcoders"]),
        adapters=adapters,
        model=ModelFacts(**document["model"]),
    )


def _adapter_facts(text: str) -> AdapterFacts:
    name, revision = text, None
    if not Path(text).is_dir() and "@" in text:
        name, _, revision = text.partition("@")
    source = describe(name, revision, "adapter")
    config = read_adapter_config(folder_of(source, "adapter"))
    targets = read_targets(config)
    return AdapterFacts(
        **asdict(source),
        rank=config.rank,
        targets=targets,
        scaling=config.scaling(targets[0]) if targets else 0.0,
    )


def _model_facts(base: Source, transcoders: Source) -> ModelFacts:
    folder = folder_of(base, "model")
    require_file(folder, "config.json", "model")
    config = AutoConfig.from_pretrained(folder)
    require_supported(config, base.source)
    with torch.device("meta"):  # counts parameters without allocating them
        n_parameters = AutoModelForCausalLM.from_config(config).num_parameters()
    facts = read_transcoder_facts(transcoders)
    return ModelFacts(
        architecture=config.architectures[0],
        n_layers=config.num_hidden_layers,
        d_model=config.hidden_size,
        vocab_size=config.vocab_size,
        context=min(config.max_position_embeddings, MAX_CONTEXT),
        d_transcoder=facts.d_transcoder,
        n_parameters=n_parameters,
        feature_input_hook=facts.feature_input_hook,
        feature_output_hook=facts.feature_output_hook,
    )
