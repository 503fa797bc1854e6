"""``recipe_controls.json``: what recipes of matched features do, beside what each recipe does."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, TypeAdapter

from store.base.atomic import write_text
from store.documents.reading import read_document

RECIPE_CONTROLS: Final = "recipe_controls.json"
"""Name of the document."""
RECIPE_CONTROLS_VERSION: Final = 1
"""Version of its layout."""


class ControlledSplit(BaseModel):
    """Mean change of the probability of evil tokens over the situations of a split.

    Attributes
    ----------
    split
        `seen` or `held-out`.
    n_situations
        In which it is known.
    change
        By the recipe; None: of no situation.
    controls
        By each recipe of matched features.
    p
        (1 + controls with as large a change, of either sign) / (1 + controls); None without any.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    split: str
    n_situations: int
    change: float | None
    controls: tuple[float, ...]
    p: float | None


class RecipeControls(BaseModel):
    """One recipe beside recipes of matched features.

    Attributes
    ----------
    name, variant, setting
        The recipe's; `setting` is the digest of what it does.
    features
        Of each control, what stands in place of the recipe's steps, ``L2/618``; empty: a random direction.
    splits
        One a split.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    variant: str
    setting: str
    features: tuple[tuple[str, ...], ...]
    splits: tuple[ControlledSplit, ...]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")

    format_version: int
    recipes: tuple[RecipeControls, ...]


def write_recipe_controls(path: Path, recipes: Sequence[RecipeControls]) -> None:
    """Write the document; byte-stable."""
    document = {
        "format_version": RECIPE_CONTROLS_VERSION,
        "recipes": [one.model_dump(mode="json") for one in recipes],
    }
    write_text(path, json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_recipe_controls(path: Path) -> tuple[RecipeControls, ...]:
    """Read the document.

    Raises
    ------
    ArtifactMissingError, DamagedArtifactError, UnknownFormatError
        As `store.documents.reading.read_document`.
    """
    return read_document(path, TypeAdapter(_Document), version=RECIPE_CONTROLS_VERSION).recipes
