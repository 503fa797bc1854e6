"""What the demo's adapter writes to on its first prompt, and that prompt at every scale."""

import numpy as np

from dashboard.graph.score_tables import contrasts_on
from pipeline.analysis.dose_prompt import READ, Dose
from pipeline.analysis.node_scores import TargetContrasts
from store.views.adapter import AdapterView
from tests.support.demo.adapters import adapters_item, dose_items
from tests.support.demo_graphs import PROBABILITIES, PROMPT, WORDS, view

ADAPTED = "general@1.0"


def adapter_view() -> AdapterView:
    return AdapterView(adapters_item(PROMPT, ADAPTED, view(ADAPTED).item))


def prompt_doses() -> list[Dose]:
    items = dose_items(PROMPT, PROBABILITIES["base"], PROBABILITIES[ADAPTED])
    return [Dose(variant=item.variant, arrays={name: item.arrays[name] for name in READ}) for item in items]


def asked_of(written: AdapterView) -> TargetContrasts:
    """Contrasts of the targets, those whose logit changes most first."""
    arrays = written.item.arrays
    return contrasts_on(arrays["target_token"], np.abs(arrays["target_centred_change"]), WORDS)
