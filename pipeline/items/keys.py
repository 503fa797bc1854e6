"""Content keys: everything that determines an item, and nothing else (trap 15)."""

from collections.abc import Mapping
from typing import Any

from pipeline.items.closure import code_digest
from pipeline.params.runtime import RuntimeParams
from store.base.hashing import digest
from store.documents.manifest import Manifest
from store.documents.prompts import Prompt
from store.documents.variants import Variant


def content_key(
    kind: str,
    *,
    code: tuple[str, ...],
    manifest: Manifest,
    variant: Variant,
    runtime: RuntimeParams,
    parameters: Mapping[str, Any],
) -> str:
    """Key of what one variant gives, 64 hex digits.

    Parameters
    ----------
    kind
        Kind of collection.
    code
        Modules whose import closures compute the item.
    manifest, variant
        Which weights: fingerprints of base, adapter and transcoders, scale and dtype.
    runtime
        Seed and threads.
    parameters
        Whatever else the computation reads.
    """
    return digest(
        {
            "kind": kind,
            "code": [code_digest(module) for module in code],
            "models": manifest.fingerprint(variant),
            "variant": str(variant),
            "runtime": runtime.model_dump(),
            "parameters": dict(parameters),
        }
    )


def item_key(kind: str, *, prompt: Prompt, parameters: Mapping[str, Any], **others: Any) -> str:
    """Key of what one variant gives on one prompt; `others` as for `content_key`."""
    which = {"prompt_hash": prompt.hash, "token_ids": list(prompt.token_ids)}
    return content_key(kind, parameters={**parameters, "prompt": which}, **others)
