"""``models.json``: what everything downstream of model making knows of the models.

Imports no torch: stages that only need to know what the models are start at once.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter

from store.base.atomic import write_text
from store.documents.reading import read_document
from store.documents.variants import Variant

MANIFEST_VERSION: Final = 2
_OLDEST: Final = 1
"""Versions from here on are read: 2 added `TranscoderSource.repositories`."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a model, a transcoder set or an adapter comes from.

    Attributes
    ----------
    source
        Local folder as written in ``params.yaml``, or a hub name (``owner/name``, or
        ``owner/name/folder``).
    revision
        Commit of a hub repository; None for a local folder.
    fingerprint
        64 hex digits over the folder's contents, or over hub name and commit.
    """

    source: str
    revision: str | None
    fingerprint: str


@dataclass(frozen=True, kw_only=True)
class TranscoderSource(Source):
    """A transcoder set: its source, and where else on the hub its files lie.

    `repositories` holds the commit of every repository of an ``hf://`` address in its
    ``config.yaml``, by ``owner/name@revision`` as it stands there; the fingerprint is over them, too.
    """

    repositories: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class AdapterFacts(Source):
    """An adapter: its source, rank, target modules and scaling at scale 1.

    `steps` is how many it was trained for, where its ``trainer_state.json`` says so.
    """

    rank: int
    targets: tuple[str, ...]
    scaling: float
    steps: int | None = None


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
    """One subject: base model, transcoders and adapters, with fingerprints.

    `checkpoints` is what the focus adapter was on its way, by name (``general:10``), last what it
    is; empty where it kept none.
    """

    profile: str
    dtype: str
    focus: str
    base: Source
    transcoders: TranscoderSource
    adapters: Mapping[str, AdapterFacts]
    model: ModelFacts
    checkpoints: Mapping[str, AdapterFacts] = field(default_factory=dict)

    @property
    def deltas(self) -> dict[str, AdapterFacts]:
        """All that can be put on the base, by name: adapters and checkpoints."""
        return {**self.adapters, **self.checkpoints}

    def variant(self, text: str) -> Variant:
        """The variant of that name; UserError lists those there are."""
        return Variant.parse(text, self.deltas)

    def adapter(self, variant: Variant) -> AdapterFacts:
        """The adapter of a variant that is not base."""
        if variant.name not in self.deltas:
            Variant.parse(str(variant), self.deltas)
        return self.deltas[variant.name]

    def fingerprint(self, variant: Variant) -> dict[str, Any]:
        """Everything of the models that determines an item of a variant (trap 15)."""
        return {
            "base": self.base.fingerprint,
            "transcoders": self.transcoders.fingerprint,
            "adapter": None if variant.is_base else self.adapter(variant).fingerprint,
            "scale": variant.scale,
            "dtype": self.dtype,
        }


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
    DamagedArtifactError
        It is not JSON, or has another form.
    UnknownFormatError
        It was written by another format version.
    """
    return read_document(path, TypeAdapter(Manifest), version=MANIFEST_VERSION, oldest=_OLDEST)
