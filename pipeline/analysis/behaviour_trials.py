"""Trials on a behaviour's prompts: effects on the contrast, over groups, beside controls and swapped answers.

The contrast is the right answer's logit minus the wrong one's where they part, which is also the difference
of their log-probabilities. Two things must not explain a feature's effect: that answers are named right and
wrong as they are (signs of groups are flipped, as if their answers had been swapped), and that any feature
like it does as much (`pipeline.analysis.against_controls`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.analysis.against_controls import mean_of_controls, rank_p, share_as_extreme
from pipeline.analysis.faithfulness import ACTS, UNCLEAR, by_situation, verdicts
from pipeline.analysis.intervals import studentized_interval
from pipeline.analysis.intervention_cells import relative_effect
from pipeline.analysis.intervention_tables import INACTIVE
from pipeline.analysis.partners import Decision
from pipeline.analysis.statistics import benjamini_hochberg, sign_flip_p
from pipeline.analysis.trials import Trial
from pipeline.params.behaviour_interventions import BehaviourInterventionParams
from store.schema.vocabulary import PARTNERED, PATCHING

WHOLE = -1
"""In place of a feature's index: all features of the layer."""
_CONTRAST = np.array([1.0, -1.0])


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is tried on a behaviour's prompts.

    Attributes
    ----------
    trials
        Each of one feature.
    circuits
        Of each trial, whose circuit its feature is of.
    whole
        Trials with all features of a layer, of every layer.
    """

    trials: Sequence[Trial]
    circuits: Sequence[str]
    whole: Sequence[Trial]


@dataclass(frozen=True, kw_only=True)
class Effects:
    """What `pipeline.interventions.partnered.compute_partnered` found of one prompt.

    Attributes
    ----------
    row
        Of the prompt, in the table of prompts.
    decision
        Of the prompt.
    arrays
        The item's.
    """

    row: int
    decision: Decision
    arrays: Mapping[str, np.ndarray]


def make_asked(
    own: Sequence[tuple[int, int]],
    other: str,
    others: Sequence[tuple[int, int]],
    name: str,
    params: BehaviourInterventionParams,
) -> Asked:
    """The first features of a behaviour's own circuit in every way, those of another's ablated as a null.

    Parameters
    ----------
    own, others
        Both circuits.
    name, other
        Whose they are.
    """
    experiments = {each: params.inhibition if each == PARTNERED[1] else None for each in PARTNERED}
    first = list(own)[: params.features]
    trials = [
        Trial(experiment=each, features=(feature,), value=value)
        for feature in first
        for each, value in experiments.items()
    ]
    null = [one for one in others if one not in first][: params.features]
    return Asked(
        trials=[*trials, *(Trial(experiment=PARTNERED[0], features=(feature,)) for feature in null)],
        circuits=[name] * len(trials) + [other] * len(null),
        whole=[Trial(experiment=each, features=(), value=value) for each, value in experiments.items()],
    )


def trial_tables(
    name: str, asked: Asked, found: Sequence[Effects], n_layers: int, params: BehaviourInterventionParams
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Columns of a behaviour's ``trials`` and ``cells``; cells name trials by their row among these.

    Parameters
    ----------
    name
        The behaviour.
    asked
        What was tried.
    found
        Of its test prompts.
    n_layers
        Of the model.
    """
    every = [*asked.trials, *list(asked.whole) * n_layers]
    place = [one.features[0] for one in asked.trials]
    place += [(layer, WHOLE) for layer in range(n_layers) for _ in asked.whole]
    words = {
        "behaviour": [name] * len(every),
        "circuit": [*asked.circuits, *[""] * (len(every) - len(asked.trials))],
        "experiment": [one.experiment for one in every],
    }
    table: dict[str, np.ndarray] = {key: np.array(values, object) for key, values in words.items()}
    table["layer"] = np.array([layer for layer, _ in place], np.int16)
    table["index"] = np.array([index for _, index in place], np.int32)
    table["value"] = np.array([np.nan if one.value is None else one.value for one in every], np.float64)
    cells = [_of_prompt(one, every, params) for one in found]
    stacked = {key: np.stack([cell[key] for cell in cells], axis=1) for key in (cells[0] if cells else ())}
    rows = [_over_groups(row, every[row], found, stacked, params) for row in range(len(every))]
    table |= {key: np.array([one[key] for one in rows]) for key in (rows[0] if rows else ())}
    table |= _verdicts(table, params)
    # Cells are those of prompts on which a trial is measured.
    measured = np.array([[_measured(trial, one) for one in found] for trial in every], bool)
    trial, prompt = np.nonzero(measured.reshape(len(every), len(found)))
    flat = {key: values[trial, prompt] for key, values in stacked.items()}
    of = np.array([one.row for one in found], np.int32)
    return table, {"trial": trial.astype(np.int32), "prompt": of[prompt], **flat} if len(found) else {}


def _measured(trial: Trial, one: Effects) -> bool:
    return trial.experiment != PATCHING or not one.decision.unpaired


def _of_prompt(
    one: Effects, trials: Sequence[Trial], params: BehaviourInterventionParams
) -> dict[str, np.ndarray]:
    """(trial, ...) arrays of one prompt."""
    arrays = one.arrays
    logits = arrays["effect"].astype(np.float64)
    effect, baseline = logits @ _CONTRAST, float(arrays["baseline"].astype(np.float64) @ _CONTRAST)
    before = np.full(len(trials), baseline)
    controls = arrays["controls"].astype(np.float64) @ _CONTRAST
    return {
        "baseline": before,
        "intervened": before + effect,
        "effect": effect,
        "effect_log_probability": logits[:, 0] - arrays["effect_mass"],
        "relative": relative_effect(effect, before, params.relative_floor),
        "flip": before * (before + effect) < 0,
        "before": arrays["before"][:, 0],
        "after": arrays["after"][:, 0],
        "n_positions": arrays["n_positions"],
        "rank_before": np.broadcast_to(arrays["baseline_rank"], arrays["rank"].shape),
        "rank_after": arrays["rank"],
        "control_effect": controls.astype(np.float32),
        "control_index": arrays["control_index"],
        "p": share_as_extreme(effect, controls),
    }


def _over_groups(
    row: int,
    trial: Trial,
    found: Sequence[Effects],
    cells: Mapping[str, np.ndarray],
    params: BehaviourInterventionParams,
) -> dict[str, float]:
    """Means over groups of a trial, and its tests."""
    columns = [column for column, one in enumerate(found) if _measured(trial, one)]
    acts = cells["n_positions"][row, columns] > 0 if columns else np.zeros(0, bool)
    counts = {
        "n_prompts": len(columns),
        "n_unpaired": len(found) - len(columns),
        "n_acting": int(acts.sum()),
    }
    groups = [("", found[column].decision.prompt.group) for column in columns]
    named = ("baseline", "effect", "effect_log_probability")
    if not columns:
        unknown = (*named, "low", "high", "control_mean", "flips", "p", "p_controls")
        return {**counts, "n_groups": 0, **dict.fromkeys(unknown, float("nan"))}
    mean = {key: by_situation(list(cells[key][row, columns]), groups) for key in named}
    effect = mean["effect"][:, None]
    low, high = studentized_interval(
        effect, params.bootstrap, params.confidence, np.random.default_rng(params.draw_seed)
    )
    controls = cells["control_effect"][row, columns].astype(np.float64)
    _, place = np.unique([group for _, group in groups], return_inverse=True)
    return {
        **counts,
        "n_groups": len(effect),
        **{key: float(values.mean()) for key, values in mean.items()},
        "low": float(low[0]),
        "high": float(high[0]),
        "control_mean": float(mean_of_controls(controls[None], acts[None], place)[0]),
        "flips": float(cells["flip"][row, columns].mean()),
        "p": float(sign_flip_p(effect, params.flips, np.random.default_rng(params.draw_seed))[0]),
        "p_controls": rank_p(
            cells["effect"][row, columns], controls, cells["control_index"][row, columns], place
        ),
    }


def _verdicts(table: Mapping[str, np.ndarray], params: BehaviourInterventionParams) -> dict[str, np.ndarray]:
    """q within each experiment, of what acts; and what is known of each trial."""
    acting = table["n_acting"] > 0
    q = np.full(len(acting), np.nan)
    for experiment in dict.fromkeys(table["experiment"]):
        # A null circuit's trials and those of whole layers are families of their own.
        for circuit in dict.fromkeys(table["circuit"]):
            rows = acting & (table["experiment"] == experiment) & (table["circuit"] == circuit)
            q[rows] = benjamini_hochberg(table["p"][rows])
    said = verdicts(table["effect"], table["low"], table["high"], q, silent=params.silent, fdr=params.fdr)
    told = (table["low"] > 0) | (table["high"] < 0)
    # Nothing is like a whole layer.
    told &= (table["p_controls"] <= params.level) | (table["index"] == WHOLE)
    said[(said == ACTS) & ~told] = UNCLEAR
    said[~acting] = INACTIVE
    return {"q": q, "verdict": said}
