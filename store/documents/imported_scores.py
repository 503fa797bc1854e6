"""Scores that came with answers of others: ``imported_scores.json`` of a profile."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from pydantic import BaseModel, TypeAdapter

from store.base.atomic import write_text
from store.documents.reading import read_document

IMPORTED_SCORES: Final = "imported_scores.json"
"""Name of the document."""
IMPORTED_SCORES_VERSION: Final = 1
"""Version of its layout."""

Given = Mapping[tuple[str, str], Sequence[Mapping[str, float]]]
"""By question hash and variant: of each answer in the item of `answers`, its scores by scale, 0 to 100."""


class _Item(BaseModel):
    question_hash: str
    variant: str
    scores: tuple[dict[str, float], ...]


class _Document(BaseModel):
    format_version: int
    items: tuple[_Item, ...]


def write_imported_scores(path: Path, given: Given) -> None:
    """Write the document; answers without any score are kept as such, items of nothing else are left out."""
    items = [
        {"question_hash": question, "variant": variant, "scores": [dict(of) for of in scores]}
        for (question, variant), scores in given.items()
        if any(scores)
    ]
    document = {"format_version": IMPORTED_SCORES_VERSION, "items": items}
    write_text(path, json.dumps(document, ensure_ascii=False, indent=1) + "\n")


def read_imported_scores(path: Path) -> Given:
    """Read the document.

    Raises
    ------
    ArtifactMissingError, DamagedArtifactError, UnknownFormatError
        As `store.documents.reading.read_document`.
    """
    document = read_document(path, TypeAdapter(_Document), version=IMPORTED_SCORES_VERSION)
    return {(item.question_hash, item.variant): item.scores for item in document.items}
