"""One contrast of one score, ranked by labels that are newer than the store: what the stage would write."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Final

import numpy as np
import xarray as xr
from threadpoolctl import threadpool_limits

from pipeline.analysis.feature_tables import how_ranked
from pipeline.analysis.pivotal_weights import weighed
from pipeline.analysis.ranked_prompts import of_harm, ranked_prompts
from pipeline.analysis.ranking import rank_features
from pipeline.analysis.scores import LABELLED, PromptScores, change_scores, labelled_score
from pipeline.params.features import FeatureParams
from pipeline.text.lexicon import TokenLabel
from pipeline.text.token_labels import TokenLabels
from store.collections.item import Item
from store.documents.prompts import Prompt
from store.documents.variants import BASE

WITH_LABELS = (*LABELLED, "change")
"""Scores that labels of tokens change."""

_Labels = Mapping[int, TokenLabel]

# Bytes of scores that are kept, about; what is beyond is made again each time.
_MOST: Final = 1 << 30


class KeptScores:
    """Scores of prompts, one kind and some variants', for as long as a prompt's labels stay as they are.

    Sessions may share it: what two of them make at once is made twice, and the same.
    """

    def __init__(self) -> None:
        self._of: dict[str, tuple[_Labels, Sequence[PromptScores]]] = {}
        self._bytes = 0

    def of(
        self, prompt_hash: str, labels: _Labels, make: Callable[[], Iterator[PromptScores]]
    ) -> Sequence[PromptScores]:
        """A prompt's scores by its labels; made only if others count now than when they were made."""
        known = self._of.get(prompt_hash)
        if known is not None and known[0] == labels:
            return known[1]
        scores = tuple(make())
        size = sum(score.keys.nbytes + score.values.nbytes + score.by_token.nbytes for score in scores)
        if known is not None or self._bytes + size <= _MOST:
            self._of[prompt_hash] = (labels, scores)
            self._bytes += size if known is None else 0
        return scores


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
    kept: KeptScores,
    weights: Mapping[str, float] | None = None,
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
    kept
        Of the same graphs, score and `variants_of` the contrast; a label changes one prompt's, and no other
        graph is read.
    weights
        Of prompts, as the stage had them.
    """
    wanted = ranked_prompts(prompts.values(), labels, params)
    needed = variants_of(contrast, nulls)
    found: list[PromptScores] = []
    for prompt_hash, variants in traced.items():
        if prompt_hash in wanted:
            prompt, chosen = prompts[prompt_hash], [variant for variant in variants if variant in needed]
            make = partial(_scores, prompt, chosen, read, labels, score)
            found += kept.of(prompt_hash, labels.of(prompt_hash, prompt.domain), make)
    how = how_ranked(score, keys, params, nulls)
    # As stages do (pipeline/stages/__init__.py): with more threads a product has other last bits, and what
    # is drawn as large as the true effect is counted otherwise.
    with threadpool_limits(limits=1, user_api="blas"):
        asked = {prompt.hash: prompt for prompt in of_harm(prompts.values(), params)}
        ranking, _ = rank_features(
            weighed(found, weights), asked, keys, params, seed, how, only=(contrast, domain)
        )
    return ranking


def variants_of(contrast: str, nulls: Collection[str]) -> set[str]:
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
