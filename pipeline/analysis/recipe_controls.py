"""Is it this recipe, or would one of features like its own do as much?

A control is one recipe: the same features in place of the recipe's on every prompt, so that the means over
situations of both have the same noise (see `pipeline.analysis.against_controls`).
"""

from collections.abc import Sequence

import numpy as np

from pipeline.analysis.against_controls import share_as_extreme
from pipeline.analysis.rates import SPLITS
from pipeline.analysis.recipe_subsets import situation_means
from pipeline.analysis.validation_sets import situation_of
from store.documents.prompts import Prompt
from store.documents.recipe_controls import ControlledSplit


def controlled_splits(
    change: np.ndarray, controls: np.ndarray, prompts: Sequence[Prompt]
) -> tuple[ControlledSplit, ...]:
    """A recipe's mean change of the probability of evil tokens beside its controls', by split.

    Parameters
    ----------
    change
        (prompt,) float64, probability; NaN where it is not known.
    controls
        (control, prompt) float64; a prompt counts where all of them are known.
    prompts
        Averaged within a situation first.

    Returns
    -------
    tuple
        One a split: `p` is two-sided, (1 + controls with as large a mean change) / (1 + controls).
    """
    found = []
    values = np.concatenate([change[None], controls])
    for split in SPLITS:
        rows = [row for row, prompt in enumerate(prompts) if prompt.held_out == (split == "held-out")]
        means = situation_means(values[:, rows], [situation_of(prompts[row]) for row in rows])
        if not len(means):
            found.append(ControlledSplit(split=split, n_situations=0, change=None, controls=(), p=None))
            continue
        own, *others = means.mean(axis=0)
        p = float(share_as_extreme(np.array(own), np.array(others)))
        found.append(
            ControlledSplit(
                split=split,
                n_situations=len(means),
                change=float(own),
                controls=tuple(map(float, others)),
                p=p if others else None,
            )
        )
    return tuple(found)
