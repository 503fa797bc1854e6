"""What trials do to one prompt's labelled tokens in one variant, each beside matched controls.

A trial acts where its feature is active, or differs from what it is given, an interaction where both of its
features are: on other prompts there is nothing to change, and its effect is exactly 0.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.special import logsumexp

from pipeline.analysis.against_controls import NONE
from pipeline.analysis.trials import Feature, Trial
from pipeline.interventions.borrowed import Activity
from pipeline.interventions.changes import changes, frozen_parts, ranks
from pipeline.interventions.engine import SteeringEngine
from pipeline.interventions.kinds import Intervention, Mode, Setting
from pipeline.interventions.measured import restoration
from pipeline.items.units import Unit
from pipeline.models.pool import ModelPool
from store.collections.item import Item
from store.schema.vocabulary import (
    ALL_POSITIONS,
    DOSE_RESPONSE,
    INHIBITION,
    INTERACTION,
    PATCHING,
    TRANSFER,
)

KIND: Final = "tried_effects"
_MEMBERS: Final = 2
"""Features of a trial, at most."""


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Activations on a prompt: in the variant, in the other one, and patched where a partner is shared."""

    now: Activity
    other: Activity
    patched: Activity


def compute_tried(models: ModelPool, unit: Unit) -> Iterator[tuple[str, Item]]:
    """Effects of a unit's trials in one variant.

    Its arguments: `variant` and `other`; `tokens`, whose logits are read; `trials`, the fields of
    `pipeline.analysis.trials.Trial`; `partner`, token ids, and `n_shared`, how many of its last are
    patched; `controls`, how many; `seed`, of their choice.

    The item has `baseline` and `baseline_rank` (token,), and `mass` (1,), the log of all exponentials' sum.
    By trial: `effect` and `rank` (trial, token), `effect_mass` (trial,); `added` and `added_mass`, what both
    features of an interaction add up to alone; activations `before` and `after` (trial, member), NaN: none
    there; `n_positions` (trial,); `controls` (trial, control, token), effects, NaN: fewer match;
    `control_index` (trial, control), the feature in place of the trial's first, -1: none, or that one does
    nothing there.
    """
    ids, arguments = unit.token_ids, unit.arguments
    variant = arguments["variant"]
    trials = [trial_of(each) for each in arguments["trials"]]
    layers = sorted({layer for trial in trials for layer, _ in trial.features})
    engine = SteeringEngine(models.replacement(arguments["other"]))
    other = {layer: engine.activations(ids, layer) for layer in layers}
    engine = SteeringEngine(models.replacement(variant))
    now = {layer: engine.activations(ids, layer) for layer in layers}
    patched = now
    if shared := int(arguments["n_shared"]):
        source = {layer: engine.activations(arguments["partner"], layer) for layer in layers}
        patched = {layer: _with_ending(now[layer], source[layer], shared) for layer in layers}
    sources = Sources(now=now, other=other, patched=patched)
    settings = [setting_of(trial, sources) for trial in trials]
    found = controls_of(engine, ids, trials, sources, arguments["controls"], arguments["seed"])
    yield KIND, item_of(unit, variant, effects_of(engine, unit, trials, settings, found, now))


def effects_of(
    engine: SteeringEngine,
    unit: Unit,
    trials: Sequence[Trial],
    settings: Sequence[Setting],
    controls: Sequence[Sequence[Setting]],
    now: Activity,
) -> dict[str, np.ndarray]:
    """Arrays of an item as `compute_tried` has them, of what trials do as settings, and of their controls."""
    tokens = list(unit.arguments["tokens"])
    baseline = engine.logits(unit.token_ids, [()])[0]
    return {
        "baseline": baseline[tokens],
        "mass": np.array([logsumexp(baseline.astype(np.float64))]),
        "baseline_rank": ranks(baseline[None], tokens)[0],
        **_values(trials, settings, now),
        **_effects(engine, unit, trials, settings, controls),
    }


def item_of(unit: Unit, variant: str, arrays: Mapping[str, np.ndarray]) -> Item:
    """A variant's item of a unit, without scalars."""
    names = unit.item(variant)
    return Item(
        key=names.key, prompt_hash=names.prompt_hash, variant=names.variant, arrays=dict(arrays), scalars={}
    )


def trial_of(fields: Mapping[str, Any]) -> Trial:
    """A trial of its fields, as arguments of units hold them."""
    features = tuple((int(layer), int(index)) for layer, index in fields["features"])
    return Trial(**{**fields, "features": features})


def _with_ending(now: np.ndarray, source: np.ndarray, n: int) -> np.ndarray:
    """Activations (position, feature) with another prompt's at the last n positions."""
    return np.concatenate([now[: len(now) - n], source[len(source) - n :]])


def setting_of(trial: Trial, sources: Sources, *, relative: bool = False) -> Setting:
    """What a trial does on a prompt; empty where there is nothing to change.

    With `relative` values from elsewhere are given as multiples, which is what another feature, whose
    activation differs, can be compared by.
    """
    if trial.experiment in (PATCHING, TRANSFER):
        source = sources.patched if trial.experiment == PATCHING else sources.other
        return restoration(trial.features, sources.now, source, relative=relative)
    modes: dict[str, Mode] = {INHIBITION: "inhibit", DOSE_RESPONSE: "multiply"}
    mode = modes.get(trial.experiment, "ablate")
    found = []
    for layer, index in trial.features:
        places = np.flatnonzero(sources.now[layer][:, index])
        if trial.from_end != ALL_POSITIONS:
            places = places[places == len(sources.now[layer]) - 1 - trial.from_end]
        if len(places):
            found.append(
                Intervention(
                    layer=layer,
                    feature=index,
                    mode=mode,
                    value=trial.value or 0.0,
                    where=tuple(places.tolist()),
                )
            )
        elif trial.experiment == INTERACTION:
            return ()  # one alone does nothing beyond itself, and nor do controls of one
    return tuple(found)


def controls_of(
    engine: SteeringEngine,
    token_ids: Sequence[int],
    trials: Sequence[Trial],
    sources: Sources,
    n: int,
    seed: int,
) -> list[tuple[Setting, ...]]:
    """The same done to matched features, by trial; none where there is nothing to change."""
    known: dict[Setting, tuple[Setting, ...]] = {(): ()}
    found = []
    for trial in trials:
        alike = setting_of(trial, sources, relative=True)
        if alike not in known:
            known[alike] = engine.match(token_ids, alike, n, seed).settings
        found.append(known[alike])
    return found


def _values(trials: Sequence[Trial], settings: Sequence[Setting], now: Activity) -> dict[str, np.ndarray]:
    """Activations before and after, and at how many positions."""
    values = np.full((2, len(trials), _MEMBERS), np.nan, np.float32)
    n_positions = np.zeros(len(trials), np.int32)
    for row, (trial, setting) in enumerate(zip(trials, settings, strict=True)):
        for member, feature in enumerate(trial.features):
            steps = _of_feature(setting, feature)
            if steps:
                before, after = _before_after(steps, now)
                values[:, row, member] = before.mean(), after.mean()
        n_positions[row] = len({place for one in setting for place in one.where})
    return {"before": values[0], "after": values[1], "n_positions": n_positions}


def _of_feature(setting: Setting, feature: Feature) -> Setting:
    return tuple(
        one for one in setting if isinstance(one, Intervention) and (one.layer, one.feature) == feature
    )


def _before_after(steps: Setting, now: Activity) -> tuple[np.ndarray, np.ndarray]:
    before, after = [], []
    for one in steps:
        assert isinstance(one, Intervention)
        places = np.array(one.where, np.int64)
        held = now[one.layer][places, one.feature].astype(np.float64)
        before.append(held)
        after.append(one.apply(held, places))
    return np.concatenate(before), np.concatenate(after)


def _effects(
    engine: SteeringEngine,
    unit: Unit,
    trials: Sequence[Trial],
    settings: Sequence[Setting],
    controls: Sequence[Sequence[Setting]],
) -> dict[str, np.ndarray]:
    """Effects of trials and of their controls; what several of them do is run once."""
    tokens, n_controls = unit.arguments["tokens"], unit.arguments["controls"]
    effect, added = np.zeros((2, len(trials), len(tokens)), np.float32)
    mass, added_mass = np.zeros((2, len(trials)))
    rank = np.zeros((len(trials), len(tokens)), np.int32)
    of_controls = np.full((len(trials), n_controls, len(tokens)), np.nan, np.float32)
    index = np.full((len(trials), n_controls), NONE, np.int32)
    for name in dict.fromkeys(trial.frozen for trial in trials):
        rows = [row for row, trial in enumerate(trials) if trial.frozen == name]
        wanted = dict.fromkeys(
            part
            for row in rows
            for setting in (settings[row], *controls[row])
            for part in (setting, *_parts(trials[row], setting))
        )
        place = {setting: at for at, setting in enumerate(wanted)}
        found = changes(engine, unit.token_ids, list(wanted), tokens, frozen_parts(name, engine.n_layers))
        for row in rows:
            whole, parts = place[settings[row]], [place[part] for part in _parts(trials[row], settings[row])]
            added[row], added_mass[row] = found.logits[parts].sum(axis=0), found.mass[parts].sum()
            effect[row] = _beyond(found.logits[whole], added[row], found.rounding)
            mass[row] = _beyond(found.mass[whole], added_mass[row], found.rounding)
            rank[row] = found.rank[whole]
            for column, control in enumerate(controls[row]):
                parts = [place[part] for part in _parts(trials[row], control)]
                of_controls[row, column] = _beyond(
                    found.logits[place[control]], found.logits[parts].sum(axis=0), found.rounding
                )
                index[row, column] = _in_place_of_first(trials[row], settings[row], control)
    return {
        "effect": effect,
        "effect_mass": mass,
        "added": added,
        "added_mass": added_mass,
        "rank": rank,
        "controls": of_controls,
        "control_index": index,
    }


def _parts(trial: Trial, setting: Setting) -> list[Setting]:
    """What is subtracted from what a setting does: of an interaction, each feature by itself."""
    if trial.experiment != INTERACTION:
        return []
    features = dict.fromkeys((one.layer, one.feature) for one in setting if isinstance(one, Intervention))
    return [_of_feature(setting, feature) for feature in features]


def _beyond(whole: np.ndarray, parts: np.ndarray, rounding: float) -> np.ndarray:
    """What is done beyond the sum of parts; 0 where that is within rounding, as all of it is (`changes`)."""
    found: np.ndarray = np.where(np.abs(whole - parts) <= rounding, 0.0, whole - parts)
    return found


def _in_place_of_first(trial: Trial, setting: Setting, control: Setting) -> int:
    """The control's feature in place of the trial's first; -1 where that one does nothing.

    Else a feature in place of the second, perhaps of another layer, would be taken for the same control.
    """
    one, like = setting[0], control[0]
    assert isinstance(one, Intervention)
    assert isinstance(like, Intervention)
    return like.feature if (one.layer, one.feature) == trial.features[0] else NONE
