"""What interventions do to behaviours, as CSV: rows of trials and prompts, and of features by layer."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from pipeline.exchange.csv_text import csv_bytes, plain, written
from store.datasets.groups import open_dataset
from store.schema.behaviour_interventions import BEHAVIOUR_INTERVENTIONS

_OF_TRIAL: Final = ("behaviour", "circuit", "layer", "index")
_OF_CELL: Final = (
    *("baseline", "intervened", "effect", "effect_log_probability", "relative", "flip", "before", "after"),
    *("n_positions", "p"),
)
INTERVENTION: Final = (
    *("prompt", "group", "partner", *_OF_TRIAL, *_OF_CELL),
    *("rank_right_before", "rank_wrong_before", "rank_right_after", "rank_wrong_after"),
    *("control_mean", "n_controls"),
)
"""Columns: effects are intervened minus baseline, of the right answer's logit minus the wrong one's; index -1
is the whole layer, and controls are matched features."""
IMPORTANCE: Final = (
    *("behaviour", "layer", "index", "correlation", "effective", "p", "q", "activation"),
    *("n_groups", "n_prompts"),
)
"""Columns of a layer's features, over train prompts."""


def intervention_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """``intervention_<type>_<behaviour>.csv``, a summary, and ``feature_importance_layer_<n>.csv``, by name.

    Parameters
    ----------
    folder
        The profile's artifacts.

    Raises
    ------
    ArtifactMissingError
        The stage has not run.
    """
    dataset = folder / BEHAVIOUR_INTERVENTIONS.kind
    trials, cells, prompts, importance, circuits = (
        {name: array.values for name, array in open_dataset(dataset, group).load().variables.items()}
        for group in ("trials", "cells", "prompts", "importance", "circuits")
    )
    kinds = dict.fromkeys(zip(trials["experiment"], trials["behaviour"], strict=True))
    for experiment, behaviour in kinds:
        mine = (trials["experiment"] == experiment) & (trials["behaviour"] == behaviour)
        rows = np.flatnonzero(mine[cells["trial"]])
        yield (
            f"intervention_{experiment}_{behaviour}.csv",
            csv_bytes(INTERVENTION, (_cell(row, cells, trials, prompts) for row in rows.tolist())),
        )
    text = json.dumps(
        {"trials": _records(trials), "circuits": _areas(circuits)}, indent=1, ensure_ascii=False
    )
    yield "intervention_summary.json", f"{text}\n".encode()
    for layer in np.unique(importance["layer"]).tolist():
        rows = np.flatnonzero(importance["layer"] == layer)
        values = ([written(importance[name][row]) for name in IMPORTANCE] for row in rows.tolist())
        yield f"feature_importance_layer_{layer}.csv", csv_bytes(IMPORTANCE, values)


def _cell(
    row: int,
    cells: Mapping[Any, np.ndarray],
    trials: Mapping[Any, np.ndarray],
    prompts: Mapping[Any, np.ndarray],
) -> list[str]:
    trial, prompt = cells["trial"][row], cells["prompt"][row]
    controls = cells["control_effect"][row].astype(np.float64)
    known = controls[np.isfinite(controls)]
    return [
        *(written(prompts[name][prompt]) for name in ("prompt", "group", "partner")),
        *(written(trials[name][trial]) for name in _OF_TRIAL),
        *(written(cells[name][row]) for name in _OF_CELL),
        *(written(rank) for name in ("rank_before", "rank_after") for rank in cells[name][row]),
        written(known.mean()) if len(known) else "",
        str(len(known)),
    ]


def _records(table: Mapping[Any, np.ndarray]) -> list[dict[str, Any]]:
    """Rows of a table, as JSON."""
    n = len(table["behaviour"])
    return [{str(name): plain(values[row]) for name, values in table.items()} for row in range(n)]


def _areas(circuits: Mapping[Any, np.ndarray]) -> list[dict[str, Any]]:
    """Areas of F(k), by behaviour, experiment and circuit."""
    names = circuits["behaviour"], circuits["experiment"], circuits["circuit"]
    return [
        {
            "behaviour": str(names[0][place[0]]),
            "experiment": str(names[1][place[1]]),
            "circuit": str(names[2][place[2]]),
            **{name: plain(circuits[name][place]) for name in ("area", "area_low", "area_high", "p_random")},
        }
        for place in np.ndindex(circuits["area"].shape)
    ]
