"""One prompt at every dose of the adapter, scale or training step: probabilities, features and edges."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from pipeline.analysis.dose import LABELS, dose_of
from pipeline.analysis.evil_safe import label_mass, target_labels
from pipeline.analysis.node_scores import TargetContrasts
from store.schema.vocabulary import FEATURE, NODE_KINDS

_NODE: Final = ("kind", "layer", "position", "feature")

READ: Final = (
    "target_token",
    "target_probability",
    "active_layer",
    "active_position",
    "active_feature",
    "active_value",
    "direct",
    *(f"node_{name}" for name in _NODE),
    "edge_source",
    "edge_target",
    "edge_weight",
)
"""The arrays of a graph that are read."""


@dataclass(frozen=True, kw_only=True)
class Dose:
    """One dose's graph of a prompt: `variant`, and the arrays `READ` of its item."""

    variant: str
    arrays: Mapping[str, np.ndarray]

    @property
    def dose(self) -> float:
        """Scale or training step; 0 for base."""
        return dose_of(self.variant)


def response(doses: Sequence[Dose], labels: Mapping[int, str]) -> pd.DataFrame:
    """Probability of the evil and of the safe targets together, by dose.

    Returns
    -------
    pd.DataFrame
        Columns dose, variant, label (evil, safe), probability, n (targets of that label); no row
        of a label that no target has.
    """
    rows = []
    for dose in doses:
        of = target_labels(dose.arrays["target_token"], labels)
        rows += [
            {
                "dose": dose.dose,
                "variant": dose.variant,
                "label": label,
                "probability": label_mass(dose.arrays["target_probability"], of, label),
                "n": int((of == label).sum()),
            }
            for label in LABELS
            if (of == label).any()
        ]
    return pd.DataFrame(rows, columns=["dose", "variant", "label", "probability", "n"])


def candidate_responses(doses: Sequence[Dose], limit: int) -> pd.DataFrame:
    """Probability by dose of the targets that are most probable at some dose, most first.

    Returns
    -------
    pd.DataFrame
        Columns token (id), dose, probability; a row a target and dose.
    """
    every = pd.concat(
        pd.DataFrame(
            {
                "token": dose.arrays["target_token"].astype(int),
                "dose": dose.dose,
                "probability": dose.arrays["target_probability"].astype(np.float64),
            }
        )
        for dose in doses
    )
    most = every.groupby("token")["probability"].max().sort_values(ascending=False, kind="stable")
    return every.set_index("token").loc[most.index[:limit].to_list()].reset_index()


def feature_responses(doses: Sequence[Dose], one: TargetContrasts) -> pd.DataFrame:
    """Activation and direct effect of every feature by dose, each summed over positions.

    Parameters
    ----------
    doses
        All doses of a prompt.
    one
        The one contrast that `direct` is read on.

    Returns
    -------
    pd.DataFrame
        Columns layer, feature, dose, activation, direct (logits); a row a feature and dose, 0
        where it is inactive.
    """
    frames = []
    for dose in doses:
        arrays = dose.arrays
        weights = one.on(arrays["target_token"])[0]
        frames.append(
            pd.DataFrame(
                {
                    "layer": arrays["active_layer"].astype(int),
                    "feature": arrays["active_feature"].astype(int),
                    "dose": dose.dose,
                    "activation": arrays["active_value"].astype(np.float64),
                    "direct": weights @ arrays["direct"].astype(np.float64),
                }
            )
        )
    every = pd.concat(frames, ignore_index=True)
    summed = every.groupby(["layer", "feature", "dose"]).sum().unstack("dose", fill_value=0.0)
    stacked: pd.DataFrame = summed.stack("dose", future_stack=True).reset_index()
    return stacked


def most_changed(responses: pd.DataFrame, limit: int) -> list[tuple[int, int]]:
    """Features whose direct effect differs most between two doses, most first."""
    spread = responses.groupby(["layer", "feature"])["direct"].agg(lambda values: values.max() - values.min())
    order = spread.sort_values(ascending=False, kind="stable").index[:limit]
    return [(int(layer), int(feature)) for layer, feature in order]


def edge_responses(doses: Sequence[Dose], layer: int, feature: int) -> pd.DataFrame:
    """Edges into and out of a feature's nodes by dose, those that differ most between two doses first.

    Returns
    -------
    pd.DataFrame
        Columns source_kind, source_layer, source_position, source_feature, the same of target, and
        one column a dose (float): the weight A[target, source]; 0 where an end is a feature
        that is inactive at that dose, NaN where the artifact does not hold the edge.
    """
    wide = pd.concat(_edges(dose, layer, feature) for dose in doses)
    ends = [name for name in wide.columns if name not in ("dose", "weight")]
    wide = wide.pivot(index=ends, columns="dose", values="weight")
    wide = wide.reindex(columns=[dose.dose for dose in doses]).rename_axis(columns=None).reset_index()
    for dose in doses:
        gone = _inactive(dose, wide, "source") | _inactive(dose, wide, "target")
        wide[dose.dose] = wide[dose.dose].mask(wide[dose.dose].isna() & gone, 0.0)
    weights = wide[[dose.dose for dose in doses]]
    spread = (weights.max(axis=1) - weights.min(axis=1)).to_numpy()
    return wide.iloc[np.argsort(-spread, kind="stable")].reset_index(drop=True)


def end_nodes(edges: pd.DataFrame, end: str) -> pd.DataFrame:
    """The source or the target of every row of `edge_responses`, in columns as `GraphView.nodes` has them."""
    nodes = edges[[f"{end}_{name}" for name in _NODE]].set_axis(list(_NODE), axis=1)
    return nodes.assign(kind=[NODE_KINDS[code] for code in nodes["kind"]])


def _edges(dose: Dose, layer: int, feature: int) -> pd.DataFrame:
    """The edges of one dose that have the feature at an end, in long form."""
    arrays = dose.arrays
    nodes = pd.DataFrame({name: arrays[f"node_{name}"].astype(int) for name in _NODE})
    is_it = (nodes["kind"] == FEATURE) & (nodes["layer"] == layer) & (nodes["feature"] == feature)
    mine = is_it.to_numpy()
    kept = mine[arrays["edge_source"]] | mine[arrays["edge_target"]]
    ends = [
        nodes.iloc[arrays[f"edge_{end}"][kept]].add_prefix(f"{end}_").reset_index(drop=True)
        for end in ("source", "target")
    ]
    weight = arrays["edge_weight"][kept].astype(np.float64)
    return pd.concat(ends, axis=1).assign(dose=dose.dose, weight=weight)


def _inactive(dose: Dose, edges: pd.DataFrame, end: str) -> np.ndarray:
    """Whether an end is a feature that is not active at this dose."""
    keys = ("layer", "position", "feature")
    active = pd.MultiIndex.from_arrays([dose.arrays[f"active_{key}"].astype(int) for key in keys])
    known = pd.MultiIndex.from_frame(edges[[f"{end}_{key}" for key in keys]]).isin(active)
    gone: np.ndarray = (edges[f"{end}_kind"] == FEATURE).to_numpy() & ~known
    return gone
