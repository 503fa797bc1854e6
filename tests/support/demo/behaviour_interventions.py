"""The demo's interventions along partners: one feature of each behaviour acts, its circuit carries most."""

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from pipeline.analysis.behaviour_intervention_tables import Found, behaviour_intervention_groups
from pipeline.analysis.behaviour_trials import Effects, make_asked
from pipeline.analysis.circuit_faithfulness import Held
from pipeline.analysis.circuit_sets import FOUND, Circuits, Trained
from pipeline.analysis.importance import Activities
from pipeline.analysis.partners import UNEQUAL, Decision
from pipeline.params.project import load_params
from store.documents.behaviour_prompts import BehaviourPrompt
from store.schema.vocabulary import SWAPPED
from tests.support.demo.words import LAYERS
from tests.support.partnered import effect_arrays, held_arrays
from tests.support.places import ROOT

PARAMS = load_params(ROOT / "params.yaml").behaviour_interventions.model_copy(
    update={"features": 3, "ks": [1, 3, 10], "bootstrap": 200, "flips": 500, "min_groups": 2}
)
CIRCUIT = ((0, 3), (1, 4), (2, 9), (3, 11))


def behaviour_interventions_groups(
    prompts: Mapping[str, Sequence[BehaviourPrompt]],
) -> dict[str, xr.Dataset]:
    """All groups, of every prompt of some behaviours; every fourth is not as long as its partner."""
    rng, found, start = np.random.default_rng(21), {}, 0
    names = list(prompts)
    for number, (name, of) in enumerate(prompts.items()):
        other = names[(number + 1) % len(names)]
        asked = make_asked(CIRCUIT, other, [(layer, index + 20) for layer, index in CIRCUIT], name, PARAMS)
        decisions = [_decision(prompt, place % 4 == 3) for place, prompt in enumerate(of)]
        n_single, n_whole = len(asked.trials), LAYERS * len(asked.whole)
        shares = np.full((len(names) + 1, 3), 0.05)
        shares[number] = [0.4, 0.6, 0.8]
        sites = np.linspace(1.0, 0.2, 3)[:, None] * np.linspace(1.0, 0.1, LAYERS + 1)[::-1]
        found[name] = Found(
            trained=_trained(rng),
            circuits=Circuits(
                source=FOUND, orders={each: list(CIRCUIT) for each in (*names, SWAPPED)}, random=[]
            ),
            asked=asked,
            effects=[
                Effects(
                    row=start + place,
                    decision=one,
                    arrays=effect_arrays(rng, n_single, n_whole, PARAMS.controls),
                )
                for place, one in enumerate(decisions)
            ],
            held={
                one.prompt.hash: Held(
                    group=one.prompt.group,
                    arrays=held_arrays(rng, shares, sites, paired=not one.unpaired),
                )
                for one in decisions
            },
            decisions=decisions,
        )
        start += len(of)
    return behaviour_intervention_groups(found, LAYERS, PARAMS)


def _decision(prompt: BehaviourPrompt, unpaired: bool) -> Decision:
    return Decision(
        prompt=prompt,
        token_ids=(*prompt.token_ids, *prompt.correct_ids[: prompt.shared]),
        tokens=(prompt.correct_ids[prompt.shared], prompt.incorrect_ids[prompt.shared]),
        source=() if unpaired else prompt.token_ids,
        unpaired=UNEQUAL if unpaired else "",
    )


def _trained(rng: np.random.Generator) -> Trained:
    layer, index = (each.ravel() for each in np.mgrid[:LAYERS, :12])
    values = rng.gamma(2.0, size=(20, len(layer)))
    return Trained(
        activities=Activities(layer=layer.astype(np.int16), index=index.astype(np.int32), values=values),
        contrast=values[:, 3] + 0.5 * rng.normal(size=20),
        groups=np.repeat(np.arange(10), 2).astype(str),
    )
