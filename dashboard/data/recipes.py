"""Saved recipes, whether this profile can follow them, and what stage `recipes` found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr

from dashboard.data import documents, names, project, readers
from dashboard.style.text import named, percent, shorten
from pipeline.interventions.kinds import KINDS, Intervention, Step
from pipeline.labels.feature_names import Feature
from pipeline.recipes.document import Recipe, is_of
from pipeline.recipes.files import FOLDER, read_recipe, recipe_paths
from pipeline.recipes.subsets import NO_FEATURE
from store.base.errors import StoreError, UserError
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


def layers(profile: str) -> dict[str, set[int]]:
    """In which layers recipes turn something, by digest of what they do."""
    return {
        one.recipe.digest: {step.layer for step in one.recipe.setting}
        for one in saved(profile)
        if one.recipe is not None and not one.problem
    }


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
    effects, few = _effects(profile, prompt_hash), _few(profile)
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
                "few": "" if who is None else few.get(who, ""),
                "note": "" if recipe is None else recipe.note,
                "author": "" if recipe is None else recipe.author,
                "file": one.path,
            }
        )
    return pd.DataFrame(rows)


def parts_frame(profile: str, recipe: Recipe) -> pd.DataFrame:
    """A row the first k features of a recipe, for every k; none where stage `recipes` has not run it.

    What they are worth on the situations that order them, and what the first k do on others.
    """
    found = _fewer(profile)
    if found is None:
        return pd.DataFrame()
    rows, table = found
    row = rows.get((recipe.variant, recipe.digest))
    mine = np.flatnonzero(table["of"].values == row) if row is not None else np.empty(0, np.int64)
    columns = ("k", "layer", "index", "alone", "lost", "change", "low", "high")
    frame = pd.DataFrame(
        {name: table[name].values[mine] for name in (*columns, "share", "share_low", "share_high")}
    )
    called = names.of_features(profile)
    adds = [
        named(called, (layer, index)) if index != NO_FEATURE else f"direction behind layer {layer}"
        for layer, index in zip(frame["layer"].tolist(), frame["index"].tolist(), strict=True)
    ]
    frame.insert(1, "adds", adds)
    return frame


def reason(profile: str, recipe: Recipe) -> str:
    """Why it is not known with how few features a recipe keeps its effect; empty: it is, or was not asked."""
    found = _fewer(profile)
    row = None if found is None else found[0].get((recipe.variant, recipe.digest))
    return "" if found is None or row is None else str(found[1]["reason"].values[row])


def _few(profile: str) -> dict[tuple[str, str], str]:
    """With how few features recipes keep so much of their effect, in words, by variant and digest."""
    found = _fewer(profile)
    if found is None:
        return {}
    rows, table = found
    words = {}
    for who, row in rows.items():
        counts = zip(table["reached"].values.tolist(), table["fewest"].values[row].tolist(), strict=True)
        n = int((table["of"].values == row).sum())
        known = [f"{percent(reached)} by {fewest}" for reached, fewest in counts if fewest > 0]
        words[who] = f"{', '.join(known)} of {n}" if known else ""
    return words


def _fewer(profile: str) -> tuple[dict[tuple[str, str], int], xr.Dataset] | None:
    """Rows of recipes by variant and digest, and the table of their parts; older artifacts have none."""
    if not project.made(profile, RECIPES.kind):
        return None
    table = readers.dataset(profile, RECIPES.kind, "recipes")
    try:
        fewer = readers.dataset(profile, RECIPES.kind, "fewer")
    except StoreError:
        return None
    who = zip(table["variant"].values.tolist(), table["setting"].values.tolist(), strict=True)
    return {(str(variant), str(setting)): row for row, (variant, setting) in enumerate(who)}, fewer


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
