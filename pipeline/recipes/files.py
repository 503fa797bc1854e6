"""Recipes as files: ``inputs/recipes/*.yaml``, one each, read whole or refused in a sentence."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml
from pydantic import ValidationError

from pipeline.recipes.document import Recipe, require_possible
from store.base.atomic import locked, write_text
from store.base.errors import UserError
from store.base.parsing import MalformedError, line_of, one_line, parse_yaml, quoted, read_text
from store.documents.manifest import Manifest

FOLDER: Final = Path("inputs/recipes")
"""From the project's root."""
_KNOWN: Final = frozenset(
    {*Recipe.model_fields, "feature", "mode", "layer", "direction", "site", "value", "where"}
)
"""Keys of a file; what else a mistake's place names are branches of types."""


@dataclass(frozen=True, kw_only=True)
class RecipeFile:
    """A recipe and the file that says it."""

    path: Path
    recipe: Recipe

    def require_possible(self, manifest: Manifest) -> None:
        """As `pipeline.recipes.document.require_possible`; the sentence names the file.

        Raises
        ------
        UserError
            The profile's models cannot follow it.
        """
        try:
            require_possible(self.recipe, manifest)
        except UserError as error:
            raise UserError(f"{self.path}: {error}") from error


def recipe_paths(folder: Path) -> list[Path]:
    """The files of a folder, by name; none where there is no folder."""
    return sorted(folder.glob("*.yaml"))


def read_recipe(path: Path) -> RecipeFile:
    """Read one file.

    Raises
    ------
    UserError
        It cannot be read, or is no recipe; the sentence names file, line and key, what is expected and
        what stands there.
    """
    try:
        text = read_text(path)
        value = parse_yaml(text)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; save it on the Steering page, or write it.") from None
    except MalformedError as error:
        raise UserError(error.told(path)) from error
    if not isinstance(value, dict):
        raise UserError(
            f"{path}: a {type(value).__name__}, not a recipe; write keys: see {FOLDER}/README.md."
        )
    try:
        return RecipeFile(path=path, recipe=Recipe.model_validate(value))
    except ValidationError as error:
        raise UserError(_sentence(path, text, error)) from error


def read_recipes(folder: Path) -> list[RecipeFile]:
    """All recipes of a folder, by file name.

    Raises
    ------
    UserError
        As `read_recipe`; or two have one name.
    """
    found: dict[str, RecipeFile] = {}
    for path in recipe_paths(folder):
        one = read_recipe(path)
        same = found.setdefault(one.recipe.name, one)
        if same is not one:
            raise UserError(
                f"{path}: 'name': {same.path} has the name {quoted(one.recipe.name)}, too; give another."
            )
    return list(found.values())


def write_recipe(folder: Path, recipe: Recipe) -> Path:
    """Keep a recipe as a file of its own, atomically, and say where.

    The same recipe again changes nothing.

    Raises
    ------
    UserError
        There is another one of its name; or the folder cannot be written to.
    """
    path = folder / f"{_stem(recipe)}.yaml"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            if not path.exists():
                write_text(path, to_yaml(recipe))
                return path
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}); mend that and save again.") from error
    if read_recipe(path).recipe == recipe:
        return path
    raise UserError(f"{path} is there already; give the recipe another name.")


def to_yaml(recipe: Recipe) -> str:
    """A recipe as its file has it; `read_recipe` gives the same back."""
    text: str = yaml.safe_dump(
        recipe.model_dump(exclude_defaults=True), allow_unicode=True, sort_keys=False, width=10**9
    )
    return text


def _stem(recipe: Recipe) -> str:
    """A name as a file's: what of it every system can write; else the first digits of the digest."""
    words = re.findall("[a-z0-9]+", recipe.name.lower())
    return "-".join(words)[:80] if words else recipe.digest[:12]


def _sentence(path: Path, text: str, error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    place = [
        part
        for part in first["loc"]
        if isinstance(part, int) or part in _KNOWN or first["type"] == "extra_forbidden"
    ]
    line = line_of(text, place)
    at = path if line is None else f"{path}:{line}"
    key = one_line(".".join(map(str, place)))
    if first["type"] == "extra_forbidden":
        return f"{at}: unknown key {quoted(key)}; {FOLDER}/README.md names those there are."
    if first["type"] == "missing":
        return f"{at}: '{key}' is missing; every {'step' if len(place) > 1 else 'recipe'} needs it."
    message = one_line(first["msg"].removeprefix("Value error, "))
    given = "" if first["type"] == "value_error" else f", but it is {quoted(first['input'])}"
    return f"{at}: '{key}': {message[0].lower()}{message[1:]}{given}."
