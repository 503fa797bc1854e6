"""Circuits of behaviours: what features do on many prompts, by (layer, feature), never by node (trap 2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import scipy.sparse as sp

from pipeline.analysis.effect_profiles import clusters
from pipeline.analysis.scores import feature_key
from pipeline.analysis.statistics import benjamini_hochberg, sign_flip_p
from pipeline.params.circuits import CircuitParams

EFFECTS: Final = ("direct", "total_effect", "influence", "gradient", "gradient_contrast")
"""What a feature does on a prompt, summed over positions; arrays of BEHAVIOUR_GRAPHS."""
_PAIR: Final = np.dtype([("source", np.int64), ("target", np.int64)])


class Edges(NamedTuple):
    """Edges between features: keys of both ends, (edge,) int64, and weights, (edge,) float64."""

    source: np.ndarray
    target: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True, kw_only=True)
class PromptCircuit:
    """What features do on one prompt.

    Attributes
    ----------
    group
        What the prompt is of: the unit of every statistic.
    keys
        (feature,) int64, sorted and unique `feature_key` of its active features.
    effects
        By name of `EFFECTS`, (feature,) float64, summed over positions.
    activation
        (feature,) float64: the largest at any position.
    edges
        Between two of them, summed over positions; each pair once.
    """

    group: str
    keys: np.ndarray
    effects: Mapping[str, np.ndarray]
    activation: np.ndarray
    edges: Edges


@dataclass(frozen=True, kw_only=True)
class Circuit:
    """What is the same over a behaviour's prompts; columns of `circuits/circuit` and `circuits/edges`.

    Attributes
    ----------
    keys
        (feature,) int64 feature keys, by falling |total effect|.
    columns
        By name, (feature,) each.
    edges
        (edge,), by falling |weight|; both ends are among the features.
    edge_frequency
        (edge,) float64.
    """

    keys: np.ndarray
    columns: Mapping[str, np.ndarray]
    edges: Edges
    edge_frequency: np.ndarray


def prompt_circuit(arrays: Mapping[str, np.ndarray], group: str, least_activation: float) -> PromptCircuit:
    """Sum a prompt's nodes by (layer, feature).

    Parameters
    ----------
    arrays
        Of a BEHAVIOUR_GRAPHS item.
    group
        Of the prompt.
    least_activation
        A node below it counts as inactive, and so do its edges.
    """
    active = np.abs(arrays["active_value"]) >= least_activation
    of_node = feature_key(arrays["active_layer"], arrays["active_feature"])
    keys, place = np.unique(of_node[active], return_inverse=True)
    effects = {
        name: np.bincount(place, arrays[name][active].astype(np.float64), minlength=len(keys))
        for name in EFFECTS
    }
    activation = np.full(len(keys), -np.inf)
    np.maximum.at(activation, place, arrays["active_value"][active].astype(np.float64))
    source, target = arrays["edge_source"], arrays["edge_target"]
    both = active[source] & active[target]
    pairs = np.empty(int(both.sum()), _PAIR)
    pairs["source"], pairs["target"] = of_node[source[both]], of_node[target[both]]
    found, of_pair = np.unique(pairs, return_inverse=True)
    weight = np.bincount(of_pair, arrays["edge_weight"][both].astype(np.float64), minlength=len(found))
    return PromptCircuit(
        group=group,
        keys=keys,
        effects=effects,
        activation=activation,
        edges=Edges(found["source"], found["target"], weight),
    )


def frequencies(prompts: Sequence[PromptCircuit]) -> tuple[np.ndarray, np.ndarray]:
    """In which share of prompts each feature is active: sorted keys, and (feature,) float64."""
    if not prompts:
        return np.empty(0, np.int64), np.empty(0)
    keys, count = np.unique(np.concatenate([each.keys for each in prompts]), return_counts=True)
    return keys, count / len(prompts)


def find_circuit(
    prompts: Sequence[PromptCircuit],
    others: Sequence[Sequence[PromptCircuit]],
    params: CircuitParams,
    rng: np.random.Generator,
) -> Circuit:
    """Features that are active in many of a behaviour's prompts, and what they do on average.

    Means are over groups of the means of their prompts; a feature that is inactive does 0. Whether a total
    effect is consistent is asked by flipping signs of groups: were right and wrong answers exchanged, every
    effect would have the other sign.

    Parameters
    ----------
    prompts
        Train prompts of the behaviour.
    others
        Train prompts of every other behaviour, by the same variant.
    params
        What counts, and the test's numbers.
    rng
        Seeded generator.
    """
    keys, frequency = frequencies(prompts)
    kept = frequency >= params.least_share
    keys, frequency = keys[kept], frequency[kept]
    groups = _groups(prompts)
    # (prompt, feature) each; a feature that a prompt lacks is 0 in it.
    effects = {name: _matrix(prompts, [each.effects[name] for each in prompts], keys) for name in EFFECTS}
    by_group = {name: groups @ values for name, values in effects.items()}
    means = {
        name: values.mean(axis=0) if len(values) else np.zeros(len(keys)) for name, values in by_group.items()
    }
    order = np.lexsort((keys, -np.abs(means["total_effect"])))
    total = by_group["total_effect"]
    n_groups = (total != 0).sum(axis=0)
    agree = ((np.sign(total) == np.sign(means["total_effect"])) & (total != 0)).sum(axis=0)
    tested = n_groups >= params.min_groups
    p = np.full(len(keys), np.nan)
    p[tested] = sign_flip_p(total[:, tested], params.permutations, rng)
    elsewhere = (
        np.mean([_frequency_of(keys, each) for each in others], axis=0)
        if others
        else np.full(len(keys), np.nan)
    )
    activation = _matrix(prompts, [each.activation for each in prompts], keys)
    present = _matrix(prompts, [np.ones(len(each.keys)) for each in prompts], keys)
    columns = {
        **means,
        "activation": activation.sum(axis=0) / np.maximum(present.sum(axis=0), 1),
        "frequency": frequency,
        "elsewhere": elsewhere,
        "specificity": np.abs(means["total_effect"]) * (1 - elsewhere),
        "sign_agreement": np.divide(agree, n_groups, out=np.full(len(keys), np.nan), where=n_groups > 0),
        "n_groups": n_groups.astype(np.int32),
        "p": p,
        "q": benjamini_hochberg(p),
        "supernode": _supernodes(effects["total_effect"].T, params.supernodes),
    }
    edges, edge_frequency = _edges(prompts, groups, keys, params)
    return Circuit(
        keys=keys[order],
        columns={name: values[order] for name, values in columns.items()},
        edges=edges,
        edge_frequency=edge_frequency,
    )


def _groups(prompts: Sequence[PromptCircuit]) -> np.ndarray:
    """(group, prompt): what each prompt counts for in its group's mean."""
    names, place = np.unique(np.array([each.group for each in prompts], dtype="U"), return_inverse=True)
    weights = np.zeros((len(names), len(prompts)))
    weights[place, np.arange(len(prompts))] = 1
    found: np.ndarray = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1)
    return found


def _matrix(prompts: Sequence[PromptCircuit], values: Sequence[np.ndarray], keys: np.ndarray) -> np.ndarray:
    """(prompt, feature) float64 of some features; 0 where a prompt has none."""
    found = np.zeros((len(prompts), len(keys)))
    for row, (prompt, of) in enumerate(zip(prompts, values, strict=True)):
        here = np.isin(prompt.keys, keys)
        found[row, np.searchsorted(keys, prompt.keys[here])] = of[here]
    return found


def _frequency_of(keys: np.ndarray, prompts: Sequence[PromptCircuit]) -> np.ndarray:
    """(feature,) share of prompts in which each feature is active."""
    found = np.zeros(len(keys))
    known, frequency = frequencies(prompts)
    here = np.isin(known, keys)
    found[np.searchsorted(keys, known[here])] = frequency[here]
    return found


def _supernodes(effects: np.ndarray, n: int) -> np.ndarray:
    """(feature,) int32 of (feature, prompt) effects: see `pipeline.analysis.effect_profiles.clusters`."""
    if not len(effects):
        return np.empty(0, np.int32)
    return clusters(effects, n)[1].astype(np.int32)


def _edges(
    prompts: Sequence[PromptCircuit], groups: np.ndarray, keys: np.ndarray, params: CircuitParams
) -> tuple[Edges, np.ndarray]:
    """Edges among features that many prompts have, the strongest of each target, and how many have them."""
    rows, pairs, weights = [np.empty(0, np.int64)], [np.empty(0, _PAIR)], [np.empty(0)]
    for row, prompt in enumerate(prompts):
        inside = np.isin(prompt.edges.source, keys) & np.isin(prompt.edges.target, keys)
        found = np.empty(int(inside.sum()), _PAIR)
        found["source"], found["target"] = prompt.edges.source[inside], prompt.edges.target[inside]
        rows.append(np.full(len(found), row))
        pairs.append(found)
        weights.append(prompt.edges.weight[inside])
    known, column = np.unique(np.concatenate(pairs), return_inverse=True)
    shape = (len(prompts), len(known))
    table = sp.csr_array((np.concatenate(weights), (np.concatenate(rows), column)), shape=shape)
    weight = groups.mean(axis=0) @ table if len(groups) else np.zeros(len(known))
    frequency = np.bincount(column, minlength=len(known)) / max(1, len(prompts))
    order = np.lexsort((known["target"], known["source"], -np.abs(weight)))
    order = order[((frequency >= params.least_share) & (np.abs(weight) >= params.least_edge))[order]]
    order = order[_rank_within(known["target"][order]) < params.node_edges]
    return Edges(known["source"][order], known["target"][order], weight[order]), frequency[order]


def _rank_within(names: np.ndarray) -> np.ndarray:
    """How many of the same name stand before each; (n,) int64."""
    by_name = np.argsort(names, kind="stable")
    ordered = names[by_name]
    first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(names) else np.empty(0, np.int64)
    rank = np.empty(len(names), np.int64)
    lengths = np.diff(np.append(first, len(names)))
    rank[by_name] = np.arange(len(names)) - np.repeat(first, lengths)
    return rank
