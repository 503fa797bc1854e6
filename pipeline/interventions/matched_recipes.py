"""Recipes of matched features, as items that the cache alone holds: which they are, and what they do."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from pipeline.analysis.next_token import log_softmax
from pipeline.interventions.changes import frozen_parts
from pipeline.interventions.controls import Acting, match_over
from pipeline.interventions.engine import SteeringEngine
from pipeline.interventions.entries import setting_of
from pipeline.interventions.kinds import Intervention
from pipeline.items.units import Unit
from pipeline.models.dictionaries import decoder_norms
from pipeline.models.pool import ModelPool
from store.collections.item import Item
from store.schema.vocabulary import NOTHING

MATCHED_KIND: Final = "matched_features"
DONE_KIND: Final = "matched_next_tokens"
_TOKENS: Final = 2048
"""Of prompts in one batch."""


def compute_matched(models: ModelPool, unit: Unit) -> Iterator[tuple[str, Item]]:
    """Features like those of a recipe over all prompts, of a unit's one variant.

    Its arguments: `steps`, the setting; `prompts`, token ids of each; `controls`, how many; `seed`. The item
    has `feature` (control, step), as `pipeline.interventions.controls.match_over` gives it.
    """
    (variant,), arguments = unit.variants, unit.arguments
    setting = setting_of(arguments["steps"])
    replacement = models.replacement(variant)
    engine = SteeringEngine(replacement)
    zeroed: int = replacement.zero_positions.stop
    layers = sorted({one.layer for one in setting if isinstance(one, Intervention)})

    def acting(ids: list[int]) -> Acting:
        length = len(ids)
        places = [np.flatnonzero(one.mask(np.arange(length), length, zeroed)).tolist() for one in setting]
        return Acting(positions=places, activity={layer: engine.activations(ids, layer) for layer in layers})

    features = match_over(
        setting,
        map(acting, arguments["prompts"]),
        {layer: decoder_norms(models.transcoders, layer).cpu().numpy() for layer in layers},
        n=arguments["controls"],
        seed=arguments["seed"],
    )
    yield MATCHED_KIND, _item(unit, {"feature": features})


def compute_done(models: ModelPool, unit: Unit) -> Iterator[tuple[str, Item]]:
    """Log-probabilities of watched tokens under several settings, in one variant.

    Its arguments: `settings`, each as a recipe's steps; `tokens` and `frozen` as of
    `pipeline.interventions.steered_items.compute_next_tokens`. The item has
    `watched_token` (token,) and `watched_log_probability` (setting, token) float64.
    """
    arguments, tokens = unit.arguments, list(unit.arguments["tokens"])
    engine = SteeringEngine(models.replacement(unit.variants[0]))
    settings = [setting_of(steps) for steps in arguments["settings"]]
    frozen = frozen_parts(arguments.get("frozen", NOTHING), engine.n_layers)
    found = np.empty((len(settings), len(tokens)))
    step = max(1, _TOKENS // len(unit.token_ids))
    for start in range(0, len(settings), step):
        logits = engine.logits(unit.token_ids, settings[start : start + step], frozen=frozen)
        found[start : start + step] = [log_softmax(each)[tokens] for each in logits]
    watched = np.array(tokens, np.int32)
    arrays: dict[str, np.ndarray] = {"watched_token": watched, "watched_log_probability": found}
    yield DONE_KIND, _item(unit, arrays)


def _item(unit: Unit, arrays: dict[str, np.ndarray]) -> Item:
    names = unit.item(unit.variants[0], unit.settings[0])
    return Item(
        key=names.key,
        prompt_hash=names.prompt_hash,
        variant=names.variant,
        setting=names.setting,
        arrays=arrays,
        scalars={},
    )
