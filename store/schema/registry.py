"""Every artifact's schema by its kind. ``FORMAT.md`` explains them.

A *collection* holds one item a prompt, variant and setting, its arrays ragged (their dims differ
in length from item to item). A *dataset* is a group of ordinary, dense arrays.
"""

from typing import Final

from store.schema.activations import ACTIVATIONS
from store.schema.adapters import ADAPTERS
from store.schema.answer_divergence import ANSWER_DIVERGENCE
from store.schema.answer_features import ANSWER_FEATURES
from store.schema.answer_scores import ANSWER_SCORES
from store.schema.answers import ANSWERS
from store.schema.behaviour_interventions import (
    BEHAVIOUR_INTERVENTIONS,
    CIRCUIT_LOGITS,
    DECISION_FEATURES,
    PARTNERED_EFFECTS,
)
from store.schema.behaviours import BEHAVIOURS
from store.schema.candidates import CANDIDATES
from store.schema.circuits import BEHAVIOUR_FEATURES, BEHAVIOUR_GRAPHS, CIRCUITS, VIRTUAL_WEIGHTS
from store.schema.components import COMPONENTS
from store.schema.dose import DOSE
from store.schema.faithfulness import FAITHFULNESS, HELD_LOGITS, MOVED_FEATURES
from store.schema.features import FEATURES
from store.schema.forced_answers import FORCED_ANSWERS
from store.schema.gates import GATES
from store.schema.graphs import FULL_GRAPHS, GRAPHS
from store.schema.interventions import INTERVENTIONS, TRIED_EFFECTS
from store.schema.labels import LABELS
from store.schema.mining import MINING
from store.schema.misalignment import MISALIGNMENT
from store.schema.names import NAMES
from store.schema.next_tokens import NEXT_TOKENS
from store.schema.outcomes import SAMPLE_OUTCOMES
from store.schema.pivotality import PIVOTALITY
from store.schema.rates import RATES
from store.schema.recipes import RECIPES
from store.schema.response_features import RESPONSE_FEATURES
from store.schema.rollouts import ROLLOUTS
from store.schema.samples import SAMPLES
from store.schema.steered import STEERED
from store.schema.validation import MEASURED_EFFECTS, VALIDATION

COLLECTIONS: Final = {
    schema.kind: schema
    for schema in (
        CANDIDATES,
        GRAPHS,
        FULL_GRAPHS,
        ACTIVATIONS,
        SAMPLES,
        SAMPLE_OUTCOMES,
        NEXT_TOKENS,
        ADAPTERS,
        DOSE,
        ANSWERS,
        ANSWER_FEATURES,
        GATES,
        MEASURED_EFFECTS,
        MOVED_FEATURES,
        HELD_LOGITS,
        FORCED_ANSWERS,
        BEHAVIOUR_FEATURES,
        BEHAVIOUR_GRAPHS,
        VIRTUAL_WEIGHTS,
        TRIED_EFFECTS,
        ROLLOUTS,
        ANSWER_DIVERGENCE,
        DECISION_FEATURES,
        PARTNERED_EFFECTS,
        CIRCUIT_LOGITS,
    )
}
DATASETS: Final = {
    schema.kind: schema
    for schema in (
        LABELS,
        FEATURES,
        NAMES,
        RATES,
        VALIDATION,
        COMPONENTS,
        FAITHFULNESS,
        INTERVENTIONS,
        ANSWER_SCORES,
        MISALIGNMENT,
        RESPONSE_FEATURES,
        RECIPES,
        STEERED,
        BEHAVIOURS,
        PIVOTALITY,
        MINING,
        CIRCUITS,
        BEHAVIOUR_INTERVENTIONS,
    )
}
