"""The BEHAVIOUR_INTERVENTIONS dataset: one behaviour's parts after the other, in its groups."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import xarray as xr

from pipeline.analysis.behaviour_trials import Asked, Effects, trial_tables
from pipeline.analysis.circuit_faithfulness import Held, curves, layer_shares
from pipeline.analysis.circuit_sets import Circuits, Trained
from pipeline.analysis.importance import correlations, swapped
from pipeline.analysis.partners import Decision
from pipeline.analysis.statistics import benjamini_hochberg
from pipeline.params.behaviour_interventions import BehaviourInterventionParams
from store.schema.behaviour_interventions import BEHAVIOUR_INTERVENTIONS
from store.schema.vocabulary import CIRCUIT_EXPERIMENTS, SPAN_PARTS, SWAPPED

ALL_LAYERS: Final = -1


@dataclass(frozen=True, kw_only=True)
class Found:
    """What was found of one behaviour.

    Attributes
    ----------
    trained
        Of its train prompts.
    circuits, asked
        What was held, and tried.
    effects, held
        Of its test prompts, of those that did not fail.
    decisions
        Of all its test prompts.
    """

    trained: Trained
    circuits: Circuits
    asked: Asked
    effects: Sequence[Effects]
    held: Mapping[str, Held]
    decisions: Sequence[Decision]


def behaviour_intervention_groups(
    found: Mapping[str, Found], n_layers: int, params: BehaviourInterventionParams
) -> dict[str, xr.Dataset]:
    """All groups of the dataset, of behaviours by name."""
    tables: dict[str, list[Mapping[str, np.ndarray]]] = {
        name: [] for name in ("prompts", "trials", "cells", "importance")
    }
    n_trials = 0
    for name, one in found.items():
        trials, cells = trial_tables(name, one.asked, one.effects, n_layers, params)
        if cells:
            cells["trial"] = cells["trial"] + np.int32(n_trials)
        n_trials += len(trials["layer"])
        tables["trials"].append(trials)
        tables["cells"].append(cells)
        tables["prompts"].append(_prompts(one))
        tables["importance"].append(importance_table(name, one.trained, params))
    groups = {name: _one_table(name, parts) for name, parts in tables.items()}
    if not found:
        return groups | {name: _none(name) for name in ("curves", "circuits", "layers")}
    names = list(found)
    axes = {
        "behaviour": _words(names),
        "experiment": _words(CIRCUIT_EXPERIMENTS),
        "circuit": _words([*names, SWAPPED]),
    }
    parts = [curves(list(one.held.values()), len(names) + 1, params) for one in found.values()]
    of_curves = _stacked("curves", parts) | {
        **axes,
        "k": np.array(params.ks, np.int32),
    }
    of_circuits = _stacked("circuits", parts) | {
        **axes,
        "n_features": np.array(
            [[len(order) for order in one.circuits.orders.values()] for one in found.values()], np.int32
        ),
        "source": _words([one.circuits.source for one in found.values()]),
    }
    layers = [layer_shares(list(one.held.values()), n_layers + 1, params) for one in found.values()]
    of_layers = _stacked("layers", layers) | {
        "behaviour": axes["behaviour"],
        "part": _words(SPAN_PARTS),
        "site": np.array([*range(n_layers), ALL_LAYERS], np.int32),
    }
    dense = {"curves": of_curves, "circuits": of_circuits, "layers": of_layers}
    return groups | {name: _dataset(name, arrays) for name, arrays in dense.items()}


def importance_table(name: str, one: Trained, params: BehaviourInterventionParams) -> dict[str, np.ndarray]:
    """Columns of a behaviour's ``importance``, of every feature that is active on a train prompt."""
    of = one.activities
    found = correlations(
        of.values, one.contrast, one.groups, min_active=params.min_active, flips=params.flips
    )
    n = len(of.layer)
    return {
        "behaviour": _words([name] * n),
        "layer": of.layer,
        "index": of.index,
        **found,
        "q": benjamini_hochberg(found["p"]),
        "activation": of.mean_size,
        "n_prompts": np.full(n, len(of.values), np.int32),
    }


def found_when_swapped(one: Trained, units: np.ndarray, params: BehaviourInterventionParams) -> float:
    """In which share of draws any feature goes with the contrast, at the FDR, with answers swapped at random.

    A null: were p-values what they say, the share would be no more than the FDR.

    Parameters
    ----------
    one
        Train prompts of a behaviour.
    units
        (prompt,) labels: prompts of one are swapped together. Groups are the sterner null, since a noun's
        features go with whatever is its own.
    params
        How many draws, and at which FDR.
    """
    rng = np.random.default_rng(params.seed)
    found = 0
    for _ in range(params.swaps):
        contrast = swapped(one.contrast, units, rng)
        p = correlations(
            one.activities.values, contrast, one.groups, min_active=params.min_active, flips=params.flips
        )["p"]
        found += bool((benjamini_hochberg(p) <= params.fdr).any())
    return found / params.swaps


def _prompts(one: Found) -> dict[str, np.ndarray]:
    """Columns of ``prompts``: contrasts as they were held; NaN where that failed."""
    held = [one.held.get(each.prompt.hash) for each in one.decisions]
    return {
        "prompt": _words([each.prompt.hash for each in one.decisions]),
        "behaviour": _words([each.prompt.behaviour for each in one.decisions]),
        "group": _words([each.prompt.group for each in one.decisions]),
        "partner": _words([each.prompt.partner or "" for each in one.decisions]),
        "unpaired": _words([each.unpaired for each in one.decisions]),
        "contrast": np.array([float(each.contrast("clean")) if each else np.nan for each in held]),
        "partner_contrast": np.array(
            [float(each.contrast("partnered")[0]) if each and each.paired else np.nan for each in held]
        ),
    }


def _one_table(name: str, parts: Sequence[Mapping[str, np.ndarray]]) -> xr.Dataset:
    """Tables below each other."""
    there = [part for part in parts if part]
    if not there:
        return _none(name)
    return _dataset(name, {key: np.concatenate([part[key] for part in there]) for key in there[0]})


def _stacked(group: str, parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Arrays of a group that each behaviour has."""
    names = BEHAVIOUR_INTERVENTIONS.groups[group]
    return {name: np.stack([part[name] for part in parts]) for name in names if name in parts[0]}


def _dataset(group: str, arrays: Mapping[str, np.ndarray]) -> xr.Dataset:
    """Arrays with the dims and dtypes of the schema; one that is not there is a mistake."""
    found: dict[str, Any] = {}
    for key, spec in BEHAVIOUR_INTERVENTIONS.groups[group].items():
        found[key] = (spec.dims, arrays[key].astype(object if spec.dtype == "str" else spec.dtype))
    return xr.Dataset(found)


def _none(group: str) -> xr.Dataset:
    """Every array of a group, of length 0."""
    specs = BEHAVIOUR_INTERVENTIONS.groups[group]
    return _dataset(group, {key: np.empty([0] * len(spec.dims)) for key, spec in specs.items()})


def _words(names: Sequence[str]) -> np.ndarray:
    return np.array(names, dtype=object)
