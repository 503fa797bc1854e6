"""The demo profile's interventions: the first features of a ranking, tried on a few of its prompts."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import xarray as xr

from pipeline.analysis.intervention_tables import intervention_groups, predicted_effects
from pipeline.analysis.trials import make_trials
from store.documents.prompts import Prompt
from store.schema.rankings import ranking_group, situations_group
from store.schema.vocabulary import ABLATION, IMPORTANCE, SCORES
from tests.support.demo.words import EVIL, ID, SAFE, VARIANTS
from tests.support.tried import PARAMS, one_tried

N_FEATURES = 4
N_PROMPTS = 8


def interventions_groups(
    features: Mapping[str, xr.Dataset], prompts: Sequence[Prompt]
) -> dict[str, xr.Dataset]:
    """All groups; the first feature harms everywhere, the second acts nowhere, the third is silent."""
    ranking = features[ranking_group("direct")]
    chosen = [
        (int(layer), int(index))
        for layer, index in zip(
            ranking["layer"].values[:N_FEATURES], ranking["index"].values[:N_FEATURES], strict=True
        )
    ]
    rng = np.random.default_rng(12)
    trials = make_trials(chosen, PARAMS)
    tokens = np.array([ID[word] for word in (*EVIL[:2], *SAFE[:2])])
    tried = []
    for number, prompt in enumerate(prompts[:N_PROMPTS]):
        one = one_tried(number, len(trials), rng, tokens=tokens, weights=np.array([0.5, 0.5, -0.5, -0.5]))
        for arrays in one.arrays.values():
            for row, trial in enumerate(trials):
                place = chosen.index(trial.features[0])
                size = {0: 1.0, 1: 0.0, 2: 0.001}.get(place, 0.3)
                if trial.experiment in (ABLATION, IMPORTANCE) and place == 0:
                    arrays["effect"][row] -= np.sign(one.weights)
                arrays["effect"][row] *= size
                arrays["effect_mass"][row] *= size
                if place == 1:
                    arrays["n_positions"][row] = 0
                    arrays["controls"][row], arrays["control_index"][row] = np.nan, -1
        partner = prompts[(number + 1) % len(prompts)].hash
        situation = (prompt.domain or "", prompt.situation)
        tried.append(replace(one, prompt=prompt.hash, situation=situation, partner=partner))
    scores = {situations_group(score): features[situations_group(score)] for score in SCORES}
    predicted = predicted_effects(tried, trials, VARIANTS[1], scores)
    return intervention_groups(tried, trials, VARIANTS[1], predicted, PARAMS, 0)
