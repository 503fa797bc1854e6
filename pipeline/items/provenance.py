"""What an artifact was made from, written into the artifact itself."""

from collections.abc import Mapping
from typing import Any

from pipeline.items.closure import library_versions
from pipeline.items.code import QualifiedName, code_base
from store.documents.manifest import Manifest


def provenance(stage: str, manifest: Manifest, parameters: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Fingerprints, parameters, code and library versions; no date and no machine.

    The same commit, params and machine then give the same bytes.

    Parameters
    ----------
    stage
        Name of the DVC stage.
    manifest
        The profile's models.
    parameters
        The sections of ``params.yaml`` that the stage reads, by name.
    """
    return {
        "stage": stage,
        "profile": manifest.profile,
        "dtype": manifest.dtype,
        "base": manifest.base.fingerprint,
        "transcoders": manifest.transcoders.fingerprint,
        "adapters": {name: adapter.fingerprint for name, adapter in manifest.adapters.items()},
        "parameters": {name: dict(section) for name, section in parameters.items()},
        "code": code_base().digest([QualifiedName(f"pipeline.stages.{stage}", "main")]),
        "libraries": library_versions(),
    }
