"""With how few of its features does a recipe keep its effect? What is asked for that, of which prompts.

Loads no torch: it says settings, and reads what they did.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.analysis.recipe_map import label_masses
from pipeline.analysis.recipe_subsets import Subsets, order_of, situation_means, worth_of
from pipeline.analysis.validation_sets import measured_situations, situation_of
from pipeline.interventions.entries import plain_setting, setting_digest
from pipeline.interventions.kinds import Setting
from pipeline.recipes.document import Recipe
from pipeline.recipes.subsets import alone, firsts, members, without
from pipeline.text.token_labels import TokenLabels
from store.collections.item import UNSTEERED
from store.collections.reader import Collection
from store.documents.prompts import Prompt
from store.schema.vocabulary import NOTHING


@dataclass(frozen=True, kw_only=True)
class Done:
    """What is done to a variant, and what stays as it is meanwhile; nothing at all: its digest is empty."""

    variant: str
    setting: Setting = ()
    frozen: str = NOTHING
    digest: str = UNSTEERED

    @property
    def arguments(self) -> dict[str, Any]:
        """Of a unit of it."""
        still = {} if self.frozen == NOTHING else {"frozen": self.frozen}
        return {"steps": plain_setting(self.setting), **still}


def done_of(recipe: Recipe, setting: Setting) -> Done:
    """A recipe's setting, or a part of it, done as the recipe does."""
    return Done(
        variant=recipe.variant,
        setting=setting,
        frozen=recipe.frozen,
        digest=setting_digest(setting, recipe.transcoders, recipe.frozen),
    )


def masses(
    next_tokens: Collection, prompt: Prompt, variant: str, setting: str, labels: TokenLabels
) -> tuple[float, float]:
    """Probability of evil and of safe tokens under a setting; NaN where it could not be computed."""
    who = (prompt.hash, variant, setting)
    if next_tokens.key(*who) is None:
        return np.nan, np.nan
    arrays = next_tokens.item_on_demand(*who).arrays
    return label_masses(arrays, labels.of(prompt.hash, prompt.domain))


@dataclass(frozen=True, kw_only=True)
class Fewer:
    """With how few features recipes keep their effect: ordered on some prompts, measured on others.

    Attributes
    ----------
    recipes
        All of the profile's.
    ordering, measured
        Prompts with evil tokens, which share no situation.
    """

    recipes: Sequence[Recipe]
    ordering: Sequence[Prompt]
    measured: Sequence[Prompt]

    def parts(self, recipe: Recipe) -> list[Setting]:
        """What orders a recipe's features: each alone, and all but each; none of one feature."""
        if len(members(recipe.setting)) < 2:
            return []
        return [*alone(recipe.setting), *without(recipe.setting)]

    def ordered_by(self) -> Iterator[tuple[Recipe, Prompt, Done]]:
        """What orders are made of, by recipe and prompt."""
        for recipe in self.recipes:
            for setting in self.parts(recipe):
                yield from ((recipe, prompt, done_of(recipe, setting)) for prompt in self.ordering)

    def measured_by(
        self, next_tokens: Collection, labels: TokenLabels
    ) -> Iterator[tuple[Recipe, Prompt, Done]]:
        """What the first of each order do, once what orders them is known."""
        for recipe in self.recipes:
            for one in self.subsets(recipe, next_tokens, labels)[1]:
                yield from ((recipe, prompt, one) for prompt in self.measured)

    def worth(self, recipe: Recipe, next_tokens: Collection, labels: TokenLabels) -> tuple[np.ndarray, float]:
        """What each feature is worth, as `worth_of`, and what all of them do, where they are ordered."""
        n = len(members(recipe.setting))
        parts = self.parts(recipe) or [recipe.setting] * 2
        change = self._changes(recipe, [*parts, recipe.setting], self.ordering, next_tokens, labels)
        return worth_of(change[:, :n], change[:, n:-1], change[:, -1]), float(change[:, -1].sum())

    def subsets(
        self, recipe: Recipe, next_tokens: Collection, labels: TokenLabels
    ) -> tuple[list[int], list[Done]]:
        """The order of a recipe's features, and what the first of them do."""
        order = order_of(*self.worth(recipe, next_tokens, labels))
        return order, [done_of(recipe, setting) for setting in firsts(recipe.setting, order)]

    def told(self, recipe: Recipe, next_tokens: Collection, labels: TokenLabels) -> Subsets:
        """What the first of a recipe's features do on other prompts."""
        order, done = self.subsets(recipe, next_tokens, labels)
        settings = [each.setting for each in done]
        own = [member for member, _ in members(recipe.setting)]
        return Subsets(
            name=recipe.name,
            members=[own[place] for place in order],
            settings=[each.digest for each in done],
            worth=self.worth(recipe, next_tokens, labels)[0][:, order],
            change=self._changes(recipe, settings, self.measured, next_tokens, labels),
        )

    def _changes(
        self,
        recipe: Recipe,
        settings: Sequence[Setting],
        prompts: Sequence[Prompt],
        next_tokens: Collection,
        labels: TokenLabels,
    ) -> np.ndarray:
        """(situation, setting) changes of the probability of evil tokens."""
        values = np.full((1 + len(settings), len(prompts)), np.nan)
        digests = [UNSTEERED, *(done_of(recipe, setting).digest for setting in settings)]
        for row, digest in enumerate(digests):
            for column, prompt in enumerate(prompts):
                values[row, column], _ = masses(next_tokens, prompt, recipe.variant, digest, labels)
        return situation_means(values[1:] - values[0], [situation_of(prompt) for prompt in prompts])


def fewer_of(recipes: Sequence[Recipe], prompts: Sequence[Prompt], labels: TokenLabels) -> Fewer:
    """Prompts with evil tokens, parted by situations."""
    evil = [prompt for prompt in prompts if "evil" in labels.of(prompt.hash, prompt.domain).values()]
    measured = measured_situations(evil)
    return Fewer(
        recipes=recipes,
        ordering=[prompt for prompt in evil if situation_of(prompt) not in measured],
        measured=[prompt for prompt in evil if situation_of(prompt) in measured],
    )
