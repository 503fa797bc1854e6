"""The FEATURES dataset: cards, contexts, ranking and situations of every active feature."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import xarray as xr

from pipeline.cards import PromptActivity
from pipeline.contexts import Contexts
from pipeline.params import FeatureParams
from pipeline.promoted import Promoted
from pipeline.ranking import rank_features
from pipeline.scores import prompt_scores, split_key
from store.items import Item
from store.prompts import Prompt


def feature_groups(
    *,
    graphs: Iterable[Item],
    activity: Sequence[PromptActivity],
    contexts: Sequence[Contexts],
    edges: np.ndarray,
    promoted: Callable[[np.ndarray, np.ndarray], Promoted],
    prompts: Sequence[Prompt],
    lexicon: dict[str, Any],
    params: FeatureParams,
    seed: int,
) -> dict[str, xr.Dataset]:
    """Build every group of the FEATURES dataset.

    Rows are the (layer, feature) active on a prompt or in a held-out text, in any variant;
    never the whole dictionary.

    Parameters
    ----------
    graphs
        Items of the GRAPHS collection; read once, one at a time.
    activity
        From `prompt_activity`, one a variant.
    contexts
        From `collect_contexts`, for those variants that read the held-out texts.
    edges
        (bin + 1,) float32, the histogram's.
    promoted
        ``(layer, index) -> Promoted``, of the base model.
    """
    by_hash = {prompt.hash: prompt for prompt in prompts}
    scores = [prompt_scores(item, by_hash[item.prompt_hash], lexicon) for item in graphs]
    parts = [*(a.keys for a in activity), *(c.keys for c in contexts), *(s.keys for s in scores)]
    keys = np.unique(np.concatenate([*parts, np.empty(0, np.int64)]))
    ranking, situations = rank_features(scores, by_hash, keys, params, seed)
    return {
        "cards": _cards(keys, activity, contexts, edges, promoted(*split_key(keys))),
        "contexts": _contexts(keys, contexts, params),
        "ranking": ranking,
        "situations": situations,
    }


def _coords(keys: np.ndarray, variants: Sequence[str]) -> dict[str, tuple[str, Any]]:
    layer, index = split_key(keys)
    return {
        "layer": ("feature", layer),
        "index": ("feature", index),
        "variant": ("variant", np.array(variants, dtype=object)),
    }


def _cards(
    keys: np.ndarray,
    activity: Sequence[PromptActivity],
    contexts: Sequence[Contexts],
    edges: np.ndarray,
    promoted: Promoted,
) -> xr.Dataset:
    shape = (len(activity), len(keys))
    mean = np.zeros(shape, np.float32)
    frequency = np.zeros(shape, np.float32)
    n_prompts = np.zeros(shape, np.int32)
    # -1: this variant did not read the held-out texts, which is not "never fires".
    histogram = np.full((*shape, len(edges) - 1), -1, np.int32)
    read = {context.variant: context for context in contexts}
    for row, variant in enumerate(activity):
        columns = np.searchsorted(keys, variant.keys)
        mean[row, columns] = variant.total / max(variant.tokens, 1)
        frequency[row, columns] = variant.n_tokens / max(variant.tokens, 1)
        n_prompts[row, columns] = variant.n_prompts
        if variant.variant in read:
            context = read[variant.variant]
            histogram[row] = 0
            histogram[row, np.searchsorted(keys, context.keys)] = context.histogram
    dims = ("variant", "feature")
    return xr.Dataset(
        {
            "mean_activation": (dims, mean),
            "frequency": (dims, frequency),
            "n_prompts": (dims, n_prompts),
            "histogram": ((*dims, "bin"), histogram),
            "promoted_token": (("feature", "rank"), promoted.promoted_token),
            "promoted_logit": (("feature", "rank"), promoted.promoted_logit),
            "suppressed_token": (("feature", "rank"), promoted.suppressed_token),
            "suppressed_logit": (("feature", "rank"), promoted.suppressed_logit),
        },
        coords={
            **_coords(keys, [variant.variant for variant in activity]),
            "bin_edge": ("edge", edges.astype(np.float32)),
        },
    )


def _contexts(keys: np.ndarray, contexts: Sequence[Contexts], params: FeatureParams) -> xr.Dataset:
    shape = (len(contexts), len(keys), params.contexts)
    text = np.full(shape, -1, np.int32)
    peak = np.zeros(shape, np.int32)
    token = np.full((*shape, params.window), -1, np.int32)
    activation = np.zeros((*shape, params.window), np.float32)
    for row, context in enumerate(contexts):
        columns = np.searchsorted(keys, context.keys)
        text[row, columns] = context.text
        peak[row, columns] = context.peak
        token[row, columns] = context.token
        activation[row, columns] = context.activation
    dims = ("variant", "feature", "context")
    return xr.Dataset(
        {
            "text": (dims, text),
            "peak": (dims, peak),
            "token": ((*dims, "window"), token),
            "activation": ((*dims, "window"), activation),
        },
        coords=_coords(keys, [context.variant for context in contexts]),
    )
