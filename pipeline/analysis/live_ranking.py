"""One contrast of one score, ranked by labels that are newer than the store: what the stage would write."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import numpy as np
import xarray as xr
from threadpoolctl import threadpool_limits

from pipeline.analysis.feature_tables import how_ranked, ranked_prompts
from pipeline.analysis.ranking import rank_features
from pipeline.analysis.scores import LABELLED, PromptScores, change_scores, labelled_score
from pipeline.params.features import FeatureParams
from pipeline.text.token_labels import TokenLabels
from store.collections.item import Item
from store.documents.prompts import Prompt
from store.documents.variants import BASE

WITH_LABELS = (*LABELLED, "change")
"""Scores that labels of tokens change."""


def live_ranking(
    traced: Mapping[str, Sequence[str]],
    read: Callable[[str, str], Item],
    prompts: Mapping[str, Prompt],
    labels: TokenLabels,
    keys: np.ndarray,
    params: FeatureParams,
    seed: int,
    nulls: Collection[str],
    *,
    score: str,
    contrast: str,
    domain: str,
) -> xr.Dataset:
    """The ranking group of a score, of which one contrast and domain is filled in, to the bit as stored.

    Parameters
    ----------
    traced
        Variants by prompt hash.
    read
        A graph with the arrays `scores.read_of(score)`.
    prompts
        By hash.
    keys
        (feature,) sorted feature keys: the stored rows.
    nulls
        Variants of random adapters.
    score, contrast, domain
        One of `WITH_LABELS`, and what of it is asked.
    """
    wanted = ranked_prompts(prompts.values(), labels, params)
    needed = _needed(contrast, nulls)
    found: list[PromptScores] = []
    for prompt_hash, variants in traced.items():
        if prompt_hash in wanted:
            chosen = [variant for variant in variants if variant in needed]
            found += _scores(prompts[prompt_hash], chosen, read, labels, score)
    how = how_ranked(score, keys, params, nulls)
    # As stages do (pipeline/stages/__init__.py): with more threads a product has other last bits, and what
    # is drawn as large as the true effect is counted otherwise.
    with threadpool_limits(limits=1, user_api="blas"):
        ranking, _ = rank_features(found, prompts, keys, params, seed, how, only=(contrast, domain))
    return ranking


def _needed(contrast: str, nulls: Collection[str]) -> set[str]:
    """Variants that a contrast is of; beside a difference from base stand those of random adapters."""
    within = contrast.removeprefix("evil-safe|")
    if within != contrast:
        return {within}
    return {contrast.removesuffix(f"-{BASE}"), BASE, *nulls}


def _scores(
    prompt: Prompt,
    variants: Sequence[str],
    read: Callable[[str, str], Item],
    labels: TokenLabels,
    score: str,
) -> Iterator[PromptScores]:
    items = {variant: read(prompt.hash, variant) for variant in variants}
    if score != "change":
        yield from (labelled_score(item, prompt, labels, score) for item in items.values())
    elif BASE in items:
        for variant, item in items.items():
            if variant != BASE:
                yield change_scores(items[BASE], item, prompt, labels)
