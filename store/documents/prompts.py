"""Prompts as the pipeline uses them: token ids made once, stored, used everywhere."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, TypeAdapter

from store.base.atomic import write_text
from store.documents.reading import read_document

PROMPTS_VERSION: Final = 1
"""Version of the layout of ``prompts.json``, which is no Zarr artifact and has its own."""

_OPTIONAL: Final = ("evil_targets", "safe_targets")


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """One prompt, tokenized.

    Attributes
    ----------
    hash
        Prompt hash, 12 hex digits.
    name, situation, domain, tags
        What the author said of it. `situation` is the unit of every test (the hash where
        the author named none); `domain` selects the lexicon, None where there is none.
    held_out
        Whether its situation was held out from base, transcoders and adapters.
    text
        The text that was tokenized (chat messages already rendered).
    token_ids, tokens
        Token ids, BOS included, and each id decoded by itself.
    source
        File and line it came from.
    evil_targets, safe_targets
        Token ids that its author names as evil and as safe next ones: they are traced and labelled, whether
        a variant takes them for likely or not.
    """

    hash: str
    name: str
    situation: str
    domain: str | None
    held_out: bool
    tags: tuple[str, ...]
    text: str
    token_ids: tuple[int, ...]
    tokens: tuple[str, ...]
    source: str
    evil_targets: tuple[int, ...] = ()
    safe_targets: tuple[int, ...] = ()

    @property
    def targets(self) -> tuple[int, ...]:
        """All token ids that its author names, evil ones first."""
        return (*self.evil_targets, *self.safe_targets)


class _Document(BaseModel):
    format_version: int
    prompts: tuple[Prompt, ...]


def write_prompts(path: Path, prompts: Sequence[Prompt]) -> None:
    """Write ``prompts.json``, sorted by hash."""
    rows = [_row(prompt) for prompt in sorted(prompts, key=lambda prompt: prompt.hash)]
    document = {"format_version": PROMPTS_VERSION, "prompts": rows}
    write_text(path, json.dumps(document, ensure_ascii=False, indent=1) + "\n")


def _row(prompt: Prompt) -> dict[str, Any]:
    """All of it; targets only where there are any, so that most documents stay as they were without."""
    row = asdict(prompt)
    return {name: value for name, value in row.items() if value or name not in _OPTIONAL}


def read_prompts(path: Path) -> tuple[Prompt, ...]:
    """Read ``prompts.json``.

    Raises
    ------
    ArtifactMissingError
        There is no such file.
    DamagedArtifactError
        It is not JSON, or has another form.
    UnknownFormatError
        It has another version of the layout.
    """
    return read_document(path, TypeAdapter(_Document), version=PROMPTS_VERSION).prompts
