"""One way to hash: SHA-256 of canonical JSON, of files and of folders."""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

PROMPT_HASH_DIGITS: Final = 12
_PROMPT_HASH: Final = re.compile(rf"[0-9a-f]{{{PROMPT_HASH_DIGITS}}}")


def canonical_json(value: Any) -> str:
    """JSON with sorted keys, no white space, no NaN, and no Unicode normalisation."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any) -> str:
    """SHA-256 of a value's canonical JSON, 64 hex digits."""
    return hashlib.sha256(canonical_json(value).encode("utf-8", "surrogatepass")).hexdigest()


def prompt_hash(
    content: str | list[dict[str, str]],
    *,
    template_digest: str | None = None,
    generation_prompt: bool = False,
    switches: Mapping[str, bool | int | str] | None = None,
) -> str:
    """First 12 hex digits of SHA-256 over a prompt's text or chat messages.

    Parameters
    ----------
    content
        The text, or the chat messages as ``{"role": ..., "content": ...}``.
    template_digest
        Digest of the chat template that renders the messages; ``None`` for text.
    generation_prompt
        Whether the template appends the assistant's opening.
    switches
        What else the template reads; none is as if there were no such thing.
    """
    hashed: dict[str, Any] = {
        "content": content,
        "template_digest": template_digest,
        "generation_prompt": generation_prompt,
    }
    if switches:
        hashed["switches"] = dict(switches)
    return digest(hashed)[:PROMPT_HASH_DIGITS]


def is_prompt_hash(text: str) -> bool:
    """Whether a string (from a URL, say) has the form of a prompt hash."""
    return _PROMPT_HASH.fullmatch(text) is not None


def bytes_digest(content: bytes | memoryview) -> str:
    """SHA-256 of bytes (of a view: contiguous and of one dimension), 64 hex digits."""
    return hashlib.sha256(content).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_digest(folder: Path) -> str:
    """SHA-256 over the relative names and contents of every file below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return digest({path.relative_to(folder).as_posix(): file_digest(path) for path in files})
