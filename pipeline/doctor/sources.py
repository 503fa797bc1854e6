"""What a profile names: at which commit, how much of it is here, and what its small files say.

Weights are neither loaded nor fetched; configurations are, and headers are read where they lie.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from transformers import PreTrainedModel

from pipeline.models.architectures import read_config
from pipeline.models.base_forms import CONFIG, empty_model
from pipeline.models.declared_base import require_declared_base
from pipeline.models.deltas import is_merged
from pipeline.models.files import at_commit, file_of, folder_of, pinned
from pipeline.models.hub import kept_file, shapes_of, sizes_of
from pipeline.models.hub_errors import UnreachableError
from pipeline.models.hub_references import Reference
from pipeline.models.lora import ADAPTER_CONFIG, AdapterConfig, read_adapter_config, read_shapes
from pipeline.models.replacement import require_same_sizes
from pipeline.models.transcoders import TranscoderFacts, addressed_files, pinned_set, read_transcoder_facts
from pipeline.params.profiles import Profile
from store.documents.manifest import Source, TranscoderSource

_ADAPTER: Final = "adapter_model.safetensors"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where one source lies.

    Attributes
    ----------
    role
        ``model``, ``transcoders`` or ``adapter NAME``.
    source
        Folder or hub name.
    commit
        On the hub; None for a folder.
    fingerprint
        64 hex digits.
    here, missing
        Bytes on this disk, and those that are still to be fetched; None where the hub cannot be asked.
    """

    role: str
    source: str
    commit: str | None
    fingerprint: str
    here: int
    missing: int | None


@dataclass(frozen=True, kw_only=True)
class Named:
    """What a profile names, as far as it is known without weights.

    Attributes
    ----------
    places
        Model, transcoders, adapters.
    empty
        The base without its weights.
    facts
        Of the transcoders.
    adapters
        Configurations of LoRA adapters by name; a merged checkpoint has none.
    modules
        What each adapter changes.
    """

    places: list[Place]
    empty: PreTrainedModel
    facts: TranscoderFacts
    adapters: Mapping[str, AdapterConfig]
    modules: Mapping[str, frozenset[str]]

    @property
    def missing(self) -> int:
        """Bytes that are still to be fetched, as far as is known."""
        return sum(place.missing or 0 for place in self.places)

    @property
    def is_here(self) -> bool:
        """Whether nothing needs to be fetched."""
        return all(place.missing == 0 for place in self.places)


def look(name: str, profile: Profile) -> Named:
    """Look at all that a profile names.

    Parameters
    ----------
    name
        Of the profile, for errors.
    profile
        What ``params.yaml`` says of it.

    Raises
    ------
    UserError
        Something is missing, damaged, gated, not supported, or does not fit the model; one sentence.
    """
    base = pinned(profile.model, profile.revision, "model")
    dictionary = pinned_set(profile.transcoders, profile.transcoders_revision)
    path = file_of(base, CONFIG, "model")
    config = read_config(path.parent, base.source)
    empty = empty_model(config, path)
    facts = read_transcoder_facts(dictionary)
    require_same_sizes(dictionary.source, [facts.d_model] * facts.n_layers, config)
    places = [_place("model", base, _files(base, "model"))]
    places.append(_place("transcoders", dictionary, _set_files(dictionary)))
    adapters, modules = {}, {}
    for adapter, at in sorted(profile.adapters.items()):
        source = pinned(at, None, "adapter")
        if is_merged(source):
            # Which weights differ is known once both are here: any may.
            modules[adapter] = frozenset(_modules_of(empty))
        else:
            adapters[adapter] = read_adapter_config(file_of(source, ADAPTER_CONFIG, "adapter").parent)
            require_declared_base(name, adapter, adapters[adapter], base, profile.aliases)
            modules[adapter] = _modules(source, adapters[adapter])
        places.append(_place(f"adapter {adapter}", source, _files(source, "adapter")))
    return Named(places=places, empty=empty, facts=facts, adapters=adapters, modules=modules)


File = tuple[Path | None, int | None]
"""A file where it lies, if it is here; and its size, if that is known."""


def _place(role: str, source: Source, files: Iterator[File]) -> Place:
    here, missing = 0, 0
    known = True
    for path, size in files:
        if path is not None:
            here += path.stat().st_size
        elif size is None:
            known = False
        else:
            missing += size
    return Place(
        role=role,
        source=source.source,
        commit=source.revision,
        fingerprint=source.fingerprint,
        here=here,
        missing=missing if known else None,
    )


def _files(source: Source, role: str) -> Iterator[File]:
    if source.revision is None:
        yield from ((path, None) for path in folder_of(source, role).iterdir() if path.is_file())
    else:
        yield from _on_hub(at_commit(source, role), role)


def _set_files(source: TranscoderSource) -> Iterator[File]:
    yield from _files(source, "transcoders")
    sizes: dict[Reference, Mapping[str, int]] = {}
    for reference, name in addressed_files(source):
        folder, _, file = name.rpartition("/")
        inside = Reference(repository=reference.repository, folder=folder, revision=reference.revision)
        if (kept := kept_file(reference, name)) is not None:
            yield kept, None
            continue
        if inside not in sizes:
            sizes[inside] = _asked(inside, "transcoders")
        yield None, sizes[inside].get(file)


def _on_hub(reference: Reference, role: str) -> Iterator[File]:
    files = _asked(reference, role)
    if not files:
        yield None, None
    for name, size in files.items():
        yield kept_file(reference, name), size


def _asked(reference: Reference, role: str) -> Mapping[str, int]:
    """Sizes of files, none where the hub cannot be asked."""
    try:
        return sizes_of(reference, role)
    except UnreachableError:
        return {}


def _modules_of(empty: PreTrainedModel) -> Iterator[str]:
    return (name.removesuffix(".weight") for name in empty.state_dict() if name.endswith(".weight"))


def _modules(source: Source, config: AdapterConfig) -> frozenset[str]:
    if (config.folder / _ADAPTER).is_file() or source.revision is None:
        return frozenset(read_shapes(config))
    names = shapes_of(at_commit(source, "adapter"), _ADAPTER, "adapter")
    return frozenset(
        name.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
        for name in names
        if name.endswith(".lora_A.weight")
    )
