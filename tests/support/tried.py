"""Made-up trials of two prompts in base and an adapted variant, as the stage `interventions` finds them."""

from typing import Final

import numpy as np
import xarray as xr

from pipeline.analysis.intervention_cells import Tried
from pipeline.analysis.trials import Trial, make_trials
from pipeline.params.interventions import InterventionParams
from pipeline.params.project import load_params
from store.schema.rankings import situations_group
from store.schema.vocabulary import SCORES

FOCUS: Final = "general@1.0"
VARIANTS: Final = ("base", FOCUS)
FEATURES: Final = ((0, 7), (1, 3), (2, 5))
PARAMS: Final[InterventionParams] = load_params().interventions.model_copy(
    update={"controls": 5, "bootstrap": 100, "labellings": 200, "pairs": 2, "positions": 1, "factors": [5.0]}
)


def make_tried(n: int, *, seed: int = 0) -> tuple[list[Trial], list[Tried]]:
    """Trials, and what random effects they have on so many prompts of two domains, each of its own tokens."""
    rng = np.random.default_rng(seed)
    trials = make_trials(FEATURES, PARAMS)
    found = []
    for number in range(n):
        tokens = np.array([10, 11, 12, 13, 14]) + 10 * (number % 2)
        weights = np.array([0.5, 0.5, -1 / 3, -1 / 3, -1 / 3])
        if number % 3 == 0:  # prompts need not have the same number of labelled tokens
            tokens, weights = tokens[[0, 2, 3]], np.array([1.0, -0.5, -0.5])
        found.append(one_tried(number, len(trials), rng, tokens=tokens, weights=weights))
    return trials, found


def one_tried(
    number: int, n_trials: int, rng: np.random.Generator, *, tokens: np.ndarray, weights: np.ndarray
) -> Tried:
    """One prompt of made-up effects, of every second the same domain."""
    return Tried(
        prompt=f"{number:012x}",
        situation=("ab"[number % 2], f"situation {number}"),
        partner=f"{number + 1:012x}",
        n_shared=3,
        tokens=tokens,
        weights=weights,
        arrays={variant: _arrays(n_trials, len(tokens), rng) for variant in VARIANTS},
    )


def _arrays(n_trials: int, n_tokens: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    shape = n_trials, n_tokens
    index = np.array([rng.permutation(300)[: PARAMS.controls] for _ in range(n_trials)], np.int32)
    return {
        "baseline": rng.normal(size=n_tokens).astype(np.float32),
        "mass": np.array([4.0]),
        "baseline_rank": rng.permutation(n_tokens).astype(np.int32) + 1,
        "effect": rng.normal(size=shape).astype(np.float32),
        "effect_mass": rng.normal(size=n_trials) * 0.1,
        "added": np.zeros(shape, np.float32),
        "added_mass": np.zeros(n_trials),
        "rank": rng.integers(1, 50, size=shape).astype(np.int32),
        "before": rng.uniform(1, 3, size=(n_trials, 2)).astype(np.float32),
        "after": rng.uniform(1, 3, size=(n_trials, 2)).astype(np.float32),
        "n_positions": np.ones(n_trials, np.int32),
        "controls": 0.1 * rng.normal(size=(n_trials, PARAMS.controls, n_tokens)).astype(np.float32),
        "control_index": index,
    }


def make_scores(tried: list[Tried], *, seed: int = 1) -> dict[str, xr.Dataset]:
    """The groups of `features` with random effects by situation, of every score."""
    rng = np.random.default_rng(seed)
    names = [f"evil-safe|{variant}" for variant in VARIANTS] + [f"{FOCUS}-base"]
    situations = [one.situation for one in tried]
    layer, index = np.array([(9, 9), *FEATURES]).T
    return {
        situations_group(score): xr.Dataset(
            {
                "effect": (
                    ("contrast", "situation_", "feature"),
                    rng.normal(size=(len(names), len(situations), len(layer))).astype(np.float32),
                ),
                "layer": ("feature", layer),
                "index": ("feature", index),
                "contrast": ("contrast", np.array(names, object)),
                "situation": ("situation_", np.array([about for _, about in situations], object)),
                "situation_domain": ("situation_", np.array([domain for domain, _ in situations], object)),
            }
        )
        for score in SCORES
    }
