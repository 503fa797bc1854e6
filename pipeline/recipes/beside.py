"""A recipe beside recipes of matched features: what is asked for that, and what comes of it.

Loads no torch: it says settings, and reads what they did.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.analysis.recipe_controls import controlled_splits
from pipeline.analysis.recipe_map import label_masses
from pipeline.interventions.entries import plain_setting
from pipeline.interventions.kinds import Intervention, Setting
from pipeline.recipes.document import Recipe
from pipeline.recipes.fewer import done_of, masses
from pipeline.text.token_labels import TokenLabels
from store.collections.item import UNSTEERED
from store.collections.reader import Collection
from store.documents.prompts import Prompt
from store.documents.recipe_controls import RecipeControls

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Beside:
    """One recipe, and the prompts on which it can be followed."""

    recipe: Recipe
    prompts: Sequence[Prompt]

    def matching(self, n: int, seed: int) -> dict[str, Any]:
        """Arguments of the unit that finds `n` recipes of matched features."""
        return {
            "steps": plain_setting(self.recipe.setting),
            "prompts": [list(prompt.token_ids) for prompt in self.prompts],
            "controls": n,
            "seed": seed,
        }

    def doing(self, settings: Sequence[Setting]) -> dict[str, Any]:
        """Arguments of the units that follow these on a prompt, with the recipe's parts frozen."""
        done = done_of(self.recipe, self.recipe.setting).arguments
        del done["steps"]
        return done | {"settings": [plain_setting(each) for each in settings]}

    def told(
        self,
        settings: Sequence[Setting],
        found: Sequence[Arrays | None],
        next_tokens: Collection,
        labels: TokenLabels,
    ) -> RecipeControls:
        """What the recipe does beside them.

        Parameters
        ----------
        settings
            Recipes of matched features.
        found
            By prompt: `watched_token` (token,) and `watched_log_probability` (setting, token); None: not
            known.
        next_tokens, labels
            What the recipe itself does, and which tokens are evil.
        """
        recipe = self.recipe
        values = np.full((2 + len(settings), len(self.prompts)), np.nan)  # nothing, the recipe, the others
        for column, (prompt, arrays) in enumerate(zip(self.prompts, found, strict=True)):
            for row, setting in enumerate((UNSTEERED, recipe.digest)):
                values[row, column], _ = masses(next_tokens, prompt, recipe.variant, setting, labels)
            if arrays is not None:
                own = labels.of(prompt.hash, prompt.domain)
                for row, log_probability in enumerate(arrays["watched_log_probability"], 2):
                    one = {**arrays, "watched_log_probability": log_probability}
                    values[row, column], _ = label_masses(one, own)
        change = values[1:] - values[0]
        return RecipeControls(
            name=recipe.name,
            variant=recipe.variant,
            setting=recipe.digest,
            features=tuple(
                tuple(one.name if isinstance(one, Intervention) else "" for one in each) for each in settings
            ),
            splits=controlled_splits(change[0], change[1:], self.prompts),
        )
