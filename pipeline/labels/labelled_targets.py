"""Which target tokens of which prompts are labelled: what interventions are read by."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pipeline.analysis.evil_safe import evil_safe_weights, has_both, target_labels
from pipeline.analysis.ranked_prompts import ranked_prompts
from pipeline.params.features import FeatureParams
from pipeline.text.token_labels import TokenLabels
from store.collections.reader import open_collection
from store.documents.prompts import Prompt
from store.documents.variants import BASE


def labelled_targets(
    folder: Path, prompts: Mapping[str, Prompt], counted: TokenLabels, params: FeatureParams
) -> dict[str, tuple[list[int], np.ndarray]]:
    """Target tokens with a label, and their weights in evil minus safe, by prompt that has both labels.

    Parameters
    ----------
    folder
        The profile's, with its graphs.
    prompts
        By hash.
    counted
        Which labels count.
    params
        Which prompts are ranked on: the others are left out, too.
    """
    graphs = open_collection(folder / "graphs")
    ranked = ranked_prompts(prompts.values(), counted, params)
    found = {}
    for prompt in graphs.prompts():
        if prompt not in ranked:
            continue
        targets = graphs.item(prompt, BASE, ["target_token"]).arrays["target_token"]
        labels = target_labels(targets, counted.of(prompt, prompts[prompt].domain))
        if has_both(labels):
            weights = evil_safe_weights(labels)
            found[prompt] = targets[weights != 0].tolist(), weights[weights != 0]
    return found
