"""Saved recipes, whether this profile can follow them, and what stage `recipes` found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from dashboard.data import documents, names, project, readers
from dashboard.style.text import named, shorten
from pipeline.interventions.kinds import KINDS, Intervention, Step
from pipeline.labels.feature_names import Feature
from pipeline.recipes.document import Recipe, is_of
from pipeline.recipes.files import FOLDER, read_recipe, recipe_paths
from store.base.errors import UserError
from store.schema.recipes import RECIPES

SHOWN: Final = ("evil_before", "evil_after", "harmful_before", "harmful_after", "n_samples")
"""What a table shows of a recipe on held-out situations."""
FOUND: Final = (
    *SHOWN,
    *("n_situations", "evil_change", "low", "high"),
    *(f"harmful_{side}_{end}" for side in ("before", "after") for end in ("low", "high")),
)
"""All that is known of it there."""


@dataclass(frozen=True, kw_only=True)
class Saved:
    """A file of ``inputs/recipes``.

    Attributes
    ----------
    path
        As a person would type it at the project's root.
    recipe
        What it says; None: it cannot be read.
    problem
        Why this profile cannot follow it, in a sentence; empty: it can.
    """

    path: str
    recipe: Recipe | None
    problem: str

    @property
    def name(self) -> str:
        """The recipe's name, or the file's."""
        return Path(self.path).stem if self.recipe is None else self.recipe.name


def folder() -> Path:
    """Where recipes are kept."""
    return project.root() / FOLDER


def saved(profile: str) -> list[Saved]:
    """Every recipe there is, by file name; few and small, so they are read whenever they are shown."""
    manifest = documents.models(profile)
    found = []
    for path in recipe_paths(folder()):
        shown = project.shown(path)
        try:
            one = read_recipe(path)
        except UserError as error:
            found.append(Saved(path=shown, recipe=None, problem=str(error)))
            continue
        problem = ""
        if not is_of(one.recipe, manifest):
            problem = "It is of another dictionary, whose features of the same names are others."
        else:
            try:
                one.require_possible(manifest)
            except UserError as error:
                problem = str(error)
        found.append(Saved(path=shown, recipe=one.recipe, problem=problem))
    return found


def step_words(step: Step, called: Mapping[Feature, str]) -> str:
    """What a step does, in short; features with their names."""
    value = ", ".join(f"{value:g}" for value in step.values)
    where = step.where if isinstance(step.where, str) else f"at {', '.join(map(str, step.where))}"
    if isinstance(step, Intervention):
        amount = [value] if KINDS[step.mode].valued else []
        return " ".join([named(called, (step.layer, step.feature)), step.mode, *amount, f"({where})"])
    return f"direction behind layer {step.layer} times {value} ({where})"


def recipes_frame(profile: str, shown: Sequence[Saved], prompt_hash: str) -> pd.DataFrame:
    """A row a saved recipe: what it does, and what was found, NaN where stage `recipes` has not run it.

    Parameters
    ----------
    profile
        Whose models follow them.
    shown
        As `saved` gives them.
    prompt_hash
        The prompt that is looked at; empty: a typed one, which no stage has seen.
    """
    effects = _effects(profile, prompt_hash)
    nothing = dict.fromkeys(("evil_here_before", "evil_here_after", *FOUND), np.nan)
    called = names.of_features(profile)
    rows = []
    for one in shown:
        recipe = one.recipe
        who = None if recipe is None or one.problem else (recipe.variant, recipe.digest)
        known = called if who else {}  # another dictionary's features have other names
        rows.append(
            {
                "recipe": one.name,
                "variant": "" if recipe is None else recipe.variant,
                "does": ""
                if recipe is None
                else "; ".join(step_words(step, known) for step in recipe.setting),
                "problem": shorten(one.problem, 300),
                **(nothing if who is None else effects.get(who, nothing)),
                "note": "" if recipe is None else recipe.note,
                "author": "" if recipe is None else recipe.author,
                "file": one.path,
            }
        )
    return pd.DataFrame(rows)


def _effects(profile: str, prompt_hash: str) -> dict[tuple[str, str], dict[str, float]]:
    """What was found, by variant and digest: a recipe that got another name is the same one."""
    if not project.made(profile, RECIPES.kind):
        return {}
    table, of_prompts = (readers.dataset(profile, RECIPES.kind, group) for group in ("recipes", "map"))
    held_out = table.sel(split="held-out")
    at = np.flatnonzero(of_prompts["prompt"].values == prompt_hash)
    found = {}
    for row in range(table.sizes["recipe"]):
        who = (str(table["variant"].values[row]), str(table["setting"].values[row]))
        here = {
            f"evil_here_{side}": float(of_prompts[f"evil_{side}"].values[row, at[0]]) if len(at) else np.nan
            for side in ("before", "after")
        }
        of_all = {name: float(held_out[name].values[row]) for name in FOUND}
        found[who] = here | of_all
    return found
