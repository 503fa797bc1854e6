"""Which circuits are held: each behaviour's own, those of others, one of swapped answers, and random ones.

All are made on train prompts; what is measured of them is measured on test prompts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import xarray as xr

from pipeline.analysis.faithfulness_sets import matched_orders
from pipeline.analysis.importance import Activities, correlations, most_important, swapped
from pipeline.analysis.scores import feature_key
from pipeline.analysis.trials import Feature
from pipeline.params.behaviour_interventions import BehaviourInterventionParams
from store.schema.vocabulary import SWAPPED

FOUND: Final = "circuits"
IMPORTANCE: Final = "importance"
"""Where a behaviour's own circuit comes from."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What train prompts of one behaviour say of features.

    Attributes
    ----------
    activities
        Of its train prompts.
    contrast
        (prompt,) float64, logits.
    groups
        (prompt,) str.
    """

    activities: Activities
    contrast: np.ndarray
    groups: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Circuits:
    """What is held on prompts of one behaviour.

    Attributes
    ----------
    source
        `FOUND` or `IMPORTANCE`.
    orders
        By whose they are, behaviours and then `SWAPPED`: features, first ones first.
    random
        Draws that are like the own one.
    """

    source: str
    orders: Mapping[str, list[Feature]]
    random: list[list[Feature]]


def own_circuits(
    trained: Mapping[str, Trained],
    circuit: xr.Dataset,
    variant: str,
    params: BehaviourInterventionParams,
) -> dict[str, tuple[str, list[Feature]]]:
    """Where each behaviour's circuit comes from, and its features, what answers most first.

    Parameters
    ----------
    trained
        By behaviour.
    circuit
        Group ``circuit`` of the CIRCUITS dataset. Where that has no row of a behaviour, its circuit is what
        goes with the contrast most (`pipeline.analysis.importance`).
    variant
        Whose circuits.
    """
    found = {}
    for name, one in trained.items():
        features = _found(circuit, variant, name, params.ks[-1])
        if features:
            found[name] = FOUND, features
        else:
            found[name] = IMPORTANCE, important(one, one.contrast, params)
    return found


def _found(circuit: xr.Dataset, variant: str, behaviour: str, n: int) -> list[Feature]:
    mine = (circuit["variant"].values == variant) & (circuit["behaviour"].values == behaviour)
    rows = np.flatnonzero(mine)
    rows = rows[np.argsort(-circuit["total_effect"].values[rows], kind="stable")[:n]]
    return _named(circuit["layer"].values, circuit["index"].values, rows)


def important(one: Trained, contrast: np.ndarray, params: BehaviourInterventionParams) -> list[Feature]:
    """Features by how they go with a contrast over train prompts."""
    of = one.activities
    found = correlations(of.values, contrast, one.groups, min_active=params.min_active, flips=params.flips)
    rows = most_important(found["correlation"], found["p"], params.ks[-1])
    return _named(of.layer, of.index, rows)


def circuits_of(
    behaviour: str,
    own: Mapping[str, tuple[str, list[Feature]]],
    trained: Trained,
    params: BehaviourInterventionParams,
) -> Circuits:
    """All that is held on test prompts of a behaviour.

    A random circuit has for each feature of the own one another feature of its layer that is about as active
    on the train prompts; features of the circuit may be among them, at another place.
    """
    source, mine = own[behaviour]
    orders = {name: features for name, (_, features) in own.items()}
    each = np.arange(len(trained.contrast))
    exchanged = swapped(trained.contrast, each, np.random.default_rng(params.seed))
    orders[SWAPPED] = important(trained, exchanged, params)
    of = trained.activities
    key = feature_key(of.layer, of.index)
    layer, index = np.array(mine, np.int64).reshape(-1, 2).T
    place = np.minimum(np.searchsorted(key, feature_key(layer, index)), max(len(key) - 1, 0))
    first = place[key[place] == feature_key(layer, index)] if len(key) else place[:0]
    drawn = matched_orders(
        first,
        of.layer,
        of.mean_size,
        np.ones(len(key), bool),
        params.random_circuits,
        0,
        params.draw_seed,
    )
    random = [_named(of.layer, of.index, rows) for rows in drawn]
    return Circuits(source=source, orders=orders, random=random)


def _named(layer: np.ndarray, index: np.ndarray, rows: Sequence[int] | np.ndarray) -> list[Feature]:
    return [(int(layer[row]), int(index[row])) for row in rows]
