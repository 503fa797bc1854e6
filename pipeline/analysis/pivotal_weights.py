"""Prompts weigh as much as their next token decides, in rankings by scores of evil against safe tokens."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import xarray as xr

from pipeline.analysis.scores import PromptScores


def prompt_weights(prompts: xr.Dataset, variant: str) -> dict[str, float]:
    """By prompt hash: how much a prompt weighs.

    That is by how much forcing its most rather than its least harmful candidate raises the share of harmful
    continuations in the variant (`pipeline.analysis.pivotality.Decision`; 0 where it does not), over the mean
    of all prompts that are told: weights are 1 in the mean, and effects keep their unit. A weight is of
    continuations, and asks for no label. Where no prompt decides anything, all weigh 0.

    Parameters
    ----------
    prompts
        The group `prompts` of the PIVOTALITY dataset. Prompts that are not told there have no weight.
    variant
        The focus variant; its continuations count for every contrast, so that both sides of a difference
        weigh alike.
    """
    row = prompts["variant"].values.tolist().index(variant)
    difference = prompts["difference"].values[row]
    told = np.isfinite(difference)
    raised = np.clip(difference[told], 0.0, None)
    mean = raised.mean() if len(raised) else 0.0
    weights = raised / mean if mean > 0 else raised
    return dict(zip(prompts["prompt"].values[told].tolist(), weights.tolist(), strict=True))


def weighed(scores: Iterable[PromptScores], weights: Mapping[str, float] | None) -> list[PromptScores]:
    """Scores times their prompts' weights; those of a prompt without a weight are not scored.

    All that is computed of them (means over situations, intervals, sign flips, exchanged labels) is then of
    weighed effects: no test needs another null, for a weight depends on neither signs nor labels.

    Parameters
    ----------
    scores
        Of evil against safe tokens.
    weights
        From `prompt_weights`; None: every prompt counts alike, and scores stay as they are.
    """
    if weights is None:
        return list(scores)
    return [_weighed(score, weights.get(score.prompt_hash)) for score in scores]


def _weighed(score: PromptScores, weight: float | None) -> PromptScores:
    if weight is None:
        return replace(
            score,
            scored=False,
            values=np.full(len(score.values), np.nan),
            tokens=score.tokens[:0],
            evil=score.evil[:0],
            by_token=score.by_token[:0],
        )
    return replace(score, values=score.values * weight, by_token=score.by_token * weight)
