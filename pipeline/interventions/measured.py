"""What removing features does to a prompt's labelled tokens: effects that rankings are held against.

Two interventions, one for each question that a ranking answers. *Ablate*: the features are 0 wherever
the prompt has them: what do they do in this variant? *Restore*: they are what they were in the base:
what did the adapter's change of them do? Attention is not frozen and later MLPs answer for real.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from pipeline.interventions.borrowed import Activity
from pipeline.interventions.controls import Feature
from pipeline.interventions.engine import SteeringEngine
from pipeline.interventions.kinds import Intervention, Mode, Setting
from pipeline.items.units import Unit
from pipeline.models.pool import ModelPool
from store.collections.item import Item
from store.documents.variants import BASE
from store.schema.vocabulary import ABLATE, RESTORE

KIND: Final = "measured_effects"
# Tokens of one batch, cached ones included: a hundred rows of a short prompt stay in a CPU's cache.
_TOKENS: Final = 2048
# Effects below so many units in the last place of the prompt's largest logit are rounding: a batch of
# another shape rounds in another way, and what cannot reach the last position does nothing.
_ROUNDING: Final = 16


def compute_measured(models: ModelPool, unit: Unit) -> Iterator[tuple[str, Item]]:
    """Effects of a unit's sets of features in one variant.

    Its arguments: `variant`; `tokens`, whose logits are read; `sets`, lists of (layer, index); `compared`,
    rows of the sets that stand beside `controls` matched settings each; `seed`, of their choice.
    The item has, by intervention, its effects (set, token) in logits, intervened minus not, exactly 0
    where a set has nothing to change; and those of controls (compared, control, token), NaN: fewer match.
    Base has nothing to restore: no sets, none compared.
    """
    ids, arguments = unit.token_ids, unit.arguments
    variant, tokens, n_controls = arguments["variant"], arguments["tokens"], arguments["controls"]
    sets = [[(int(layer), int(index)) for layer, index in each] for each in arguments["sets"]]
    layers = sorted({layer for each in sets for layer, _ in each})
    base = None
    if variant != BASE:
        base = _activity(SteeringEngine(models.replacement(BASE)), ids, layers)
    engine = SteeringEngine(models.replacement(variant))
    now = _activity(engine, ids, layers)
    done = {ABLATE: [ablation(each, now) for each in sets]}
    alike = done
    if base is not None:
        done[RESTORE] = [restoration(each, now, base) for each in sets]
        alike = done | {RESTORE: [restoration(each, now, base, relative=True) for each in sets]}
    of_none = {
        RESTORE: np.zeros((0, len(tokens)), np.float32),
        f"{RESTORE}_controls": np.zeros((0, n_controls, len(tokens)), np.float32),
    }
    arrays = {} if RESTORE in done else of_none
    for name, settings in done.items():
        arrays[name] = effects(engine, ids, settings, tokens)
        found = np.full((len(arguments["compared"]), n_controls, len(tokens)), np.nan, np.float32)
        matched = [
            engine.match(ids, alike[name][row], n_controls, arguments["seed"]).settings
            for row in arguments["compared"]
        ]
        of_all = effects(engine, ids, [setting for each in matched for setting in each], tokens)
        ends = np.cumsum([len(each) for each in matched])
        for row, (end, each) in enumerate(zip(ends, matched, strict=True)):
            found[row, : len(each)] = of_all[end - len(each) : end]
        arrays[f"{name}_controls"] = found
    names = unit.item(variant)
    yield (
        KIND,
        Item(key=names.key, prompt_hash=names.prompt_hash, variant=names.variant, arrays=arrays, scalars={}),
    )


def ablation(features: Sequence[Feature], now: Activity) -> Setting:
    """Each feature is 0 where it is active."""
    return tuple(
        Intervention(layer=layer, feature=index, mode="set", value=0.0, where=tuple(places))
        for layer, index in features
        if (places := np.flatnonzero(now[layer][:, index]).tolist())
    )


def restoration(
    features: Sequence[Feature], now: Activity, base: Activity, *, relative: bool = False
) -> Setting:
    """Each feature has the base's activation, wherever it has another now.

    With `relative` an activation is multiplied by the same ratio instead, which is what another
    feature, whose activation differs, can be compared by.
    """
    found: list[Intervention] = []
    for layer, index in features:
        has, had = now[layer][:, index], base[layer][:, index]
        steps: dict[tuple[Mode, float], list[int]] = {}
        for place in np.flatnonzero(has != had).tolist():
            is_ratio = relative and has[place] > 0
            step: tuple[Mode, float] = (
                ("multiply", float(had[place] / has[place])) if is_ratio else ("set", float(had[place]))
            )
            steps.setdefault(step, []).append(place)
        found += [
            Intervention(layer=layer, feature=index, mode=mode, value=value, where=tuple(places))
            for (mode, value), places in steps.items()
        ]
    return tuple(found)


def effects(
    engine: SteeringEngine, token_ids: Sequence[int], settings: Sequence[Setting], tokens: Sequence[int]
) -> np.ndarray:
    """(setting, token) float32 changes of logits; exactly 0 of what is empty, or within rounding."""
    found = np.zeros((len(settings), len(tokens)), np.float32)
    before = engine.logits(token_ids, [()])[0]
    for rows in batches(token_ids, settings):
        after = engine.logits(token_ids, [settings[row] for row in rows])
        found[rows] = (after - before)[:, list(tokens)]
    found[np.abs(found) <= rounding(before)] = 0.0
    return found


def batches(token_ids: Sequence[int], settings: Sequence[Setting]) -> Iterator[list[int]]:
    """Which settings are run together; none that is empty.

    What comes before the first steered layer and token of a batch is read once: like ones stand together.
    """
    by_layer: dict[int, list[int]] = {}
    for row in sorted(
        (row for row, setting in enumerate(settings) if setting), key=lambda row: _start(settings[row])
    ):
        by_layer.setdefault(min(one.layer for one in settings[row]), []).append(row)
    step = max(1, _TOKENS // len(token_ids))
    for acting in by_layer.values():
        yield from (acting[start : start + step] for start in range(0, len(acting), step))


def rounding(before: np.ndarray) -> float:
    """The largest change of a logit that is no more than rounding, where logits (token,) are `before`."""
    return float(_ROUNDING * np.spacing(np.abs(before).max()))


def _start(setting: Setting) -> int:
    return min(place for one in setting for place in one.where if isinstance(place, int))


def _activity(engine: SteeringEngine, token_ids: Sequence[int], layers: Sequence[int]) -> Activity:
    return {layer: engine.activations(token_ids, layer) for layer in layers}
