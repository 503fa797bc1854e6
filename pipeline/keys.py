"""Content keys: everything that determines an item, and nothing else (trap 15)."""

from collections.abc import Mapping
from typing import Any

from pipeline.closure import code_digest
from pipeline.models.manifest import Manifest
from pipeline.models.variants import Variant
from pipeline.params import RuntimeParams
from store.hashing import digest
from store.prompts import Prompt


def item_key(
    kind: str,
    *,
    code: str,
    manifest: Manifest,
    variant: Variant,
    prompt: Prompt,
    runtime: RuntimeParams,
    parameters: Mapping[str, Any],
) -> str:
    """Key of one item, 64 hex digits.

    Parameters
    ----------
    kind
        Kind of collection.
    code
        Module whose import closure computes the item.
    manifest, variant
        Which weights: fingerprints of base, adapter and transcoders, scale and dtype.
    prompt
        Whose token ids; its hash is part of the item.
    runtime
        Seed and threads.
    parameters
        Whatever else the computation reads.
    """
    adapter = None if variant.is_base else manifest.adapters[variant.name].fingerprint
    return digest(
        {
            "kind": kind,
            "code": code_digest(code),
            "base": manifest.base.fingerprint,
            "transcoders": manifest.transcoders.fingerprint,
            "adapter": adapter,
            "scale": 0.0 if variant.is_base else variant.scale,
            "variant": str(variant),
            "dtype": manifest.dtype,
            "prompt_hash": prompt.hash,
            "token_ids": list(prompt.token_ids),
            "runtime": runtime.model_dump(),
            "parameters": dict(parameters),
        }
    )
