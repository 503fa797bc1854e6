"""What a setting makes of a prompt, as items: the next token, and sampled continuations."""

from collections.abc import Iterator
from dataclasses import asdict

import numpy as np

from pipeline.analysis.next_token import log_softmax
from pipeline.interventions.changes import frozen_parts
from pipeline.interventions.engine import SteeringEngine
from pipeline.interventions.entries import setting_of
from pipeline.interventions.kinds import Frozen
from pipeline.interventions.results import Request
from pipeline.items.units import Unit
from pipeline.models.pool import ModelPool
from store.collections.item import Item
from store.schema.next_tokens import NEXT_TOKENS
from store.schema.samples import SAMPLES
from store.schema.vocabulary import NOTHING


def compute_next_tokens(models: ModelPool, unit: Unit) -> Iterator[tuple[str, Item]]:
    """Log-probabilities of watched tokens, of a unit's one variant and setting.

    Its arguments: `steps`, the setting as `pipeline.interventions.entries` writes it; `tokens`, the ids that
    are watched, ascending; `frozen`, what stays as it is, by its name, where anything does.
    """
    (variant,), (setting,) = unit.variants, unit.settings
    engine = SteeringEngine(models.replacement(variant))
    # Of one shape whatever is done, so that a setting that does nothing is the baseline to the bit.
    found = engine.next_token(
        unit.token_ids,
        setting_of(unit.arguments["steps"]),
        controls=0,
        frozen=_still(engine, unit),
    )
    tokens = np.array(unit.arguments["tokens"], np.int32)
    logits = found.steered_logits
    item = Item(
        **asdict(unit.item(variant, setting)),
        arrays={
            "watched_token": tokens,
            "watched_log_probability": log_softmax(logits)[tokens],
            "watched_rank": (logits[None, :] > logits[tokens, None]).sum(axis=1).astype(np.int32),
        },
        scalars={},
    )
    yield NEXT_TOKENS.kind, item


def compute_steered_samples(models: ModelPool, unit: Unit) -> Iterator[tuple[str, Item]]:
    """Continuations of a unit's one variant under its one setting.

    Its arguments: `steps` and `frozen` as of `compute_next_tokens`; `samples`, `max_new_tokens`,
    `temperature` and `seed` as of `SteeringEngine.generate`. Sample i of a prompt is drawn with the same
    random numbers under every setting, so that where two differ the setting made the difference.
    """
    (variant,), (setting,) = unit.variants, unit.settings
    arguments = unit.arguments
    engine = SteeringEngine(models.replacement(variant))
    request = Request(token_ids=unit.token_ids, setting=setting_of(arguments["steps"]))
    (*_, last) = engine.generate(
        [request],
        n=arguments["samples"],
        max_new_tokens=arguments["max_new_tokens"],
        temperature=arguments["temperature"],
        seed=arguments["seed"],
        frozen=_still(engine, unit),
    )
    (texts,) = last.texts
    item = Item(
        **asdict(unit.item(variant, setting)),
        arrays={
            "sample_start": np.cumsum([0, *map(len, texts[:-1])]).astype(np.int32),
            "sample_token": np.array([token for ids in texts for token in ids], np.int32),
        },
        scalars={},
    )
    yield SAMPLES.kind, item


def _still(engine: SteeringEngine, unit: Unit) -> Frozen:
    return frozen_parts(unit.arguments.get("frozen", NOTHING), engine.n_layers)
