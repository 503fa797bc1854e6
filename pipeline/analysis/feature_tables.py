"""The FEATURES dataset: cards, contexts and rankings of every active feature, by every score."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from itertools import groupby
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import xarray as xr

from pipeline.analysis.activity import PromptActivity
from pipeline.analysis.confound import acting
from pipeline.analysis.contrasts import Kind
from pipeline.analysis.dictionary import GraphFidelity, dictionary_table, graph_fidelity
from pipeline.analysis.earlier_cells import EarlierCells
from pipeline.analysis.edges import GraphEdges, rank_edges
from pipeline.analysis.feature_inputs import Contexts, Promoted
from pipeline.analysis.pivotal_weights import weighed
from pipeline.analysis.ranked_prompts import of_harm, ranked_prompts
from pipeline.analysis.ranking import Ranked, rank_features
from pipeline.analysis.scores import (
    LABELLED,
    PromptScores,
    change_scores,
    feature_key,
    labelled_score,
    prompt_scores,
    split_key,
)
from pipeline.analysis.spreading import Spread, in_threads
from pipeline.params.features import FeatureParams
from pipeline.text.token_labels import TokenLabels
from store.collections.item import Item
from store.documents.prompts import Prompt
from store.documents.variants import BASE
from store.schema.rankings import ranking_group, situations_group

_KINDS: Final[dict[str, Kind]] = {
    **dict.fromkeys(LABELLED, "labelled"),
    "change": "change",
    "activation": "unlabelled",
}
_UNITS: Final = {"influence": "dimensionless", "activation": "activation"} | dict.fromkeys(
    ("direct", "total_effect", "change"), "logits"
)


def feature_groups(
    *,
    graphs: Iterable[Item],
    graph_edges: GraphEdges,
    activations: Sequence[PromptScores],
    changes: Iterable[Item],
    activity: Sequence[PromptActivity],
    contexts: Sequence[Contexts],
    edges: np.ndarray,
    promoted: Callable[[np.ndarray, np.ndarray], Promoted],
    null_changes: xr.Dataset,
    prompts: Sequence[Prompt],
    labels: TokenLabels,
    params: FeatureParams,
    seed: int,
    nulls: Collection[str] = (),
    earlier: Mapping[str, EarlierCells] = MappingProxyType({}),
    weights: Mapping[str, float] | None = None,
    spread: Spread = in_threads,
) -> dict[str, xr.Dataset]:
    """Build every group of the FEATURES dataset.

    Rows are the (layer, feature) active on a prompt or in a held-out text, in any variant;
    never the whole dictionary.

    Parameters
    ----------
    graphs
        Items of the GRAPHS collection, with the arrays `scores.READ`; read once, prompt by prompt.
    graph_edges
        Their edges, which are read apart.
    activations
        From `activation_scores`, one a prompt and variant.
    changes
        Items of the ADAPTERS collection, for their scalars; none where there is no such.
    activity
        From `prompt_activity`, one a variant.
    contexts
        From `collect_contexts`, for those variants that read the held-out texts.
    edges
        (bin + 1,) float32, the histogram's.
    promoted
        ``(layer, index) -> Promoted``, of the base model.
    null_changes
        From `pipeline.analysis.null_changes`.
    labels
        Those that count. Prompts that they reject are on the cards, and in no ranking; see `ranked_prompts`.
        Those of acting are on the cards and in `acting`.
    nulls
        Variants of random adapters, whose effects stand beside the others'.
    earlier
        By score, where cells are taken over from that were tested before.
    weights
        Of prompts, by hash, in scores of evil against safe tokens (`pipeline.analysis.pivotal_weights`).
    spread
        Who tests cells of rankings.
    """
    by_hash = {prompt.hash: prompt for prompt in prompts}
    asked = {prompt.hash: prompt for prompt in of_harm(prompts, params)}
    ranked = ranked_prompts(prompts, labels, params)
    activations = [each for each in activations if each.prompt_hash in ranked]
    kept = {prompt: of for prompt, of in graph_edges.traced.items() if prompt in ranked}
    graph_edges = replace(graph_edges, traced=kept)
    scores: dict[str, list[PromptScores]] = {name: [] for name in (*LABELLED, "change")}
    acts: list[PromptScores] = []
    fidelity: list[GraphFidelity] = []
    for prompt_hash, items in groupby(graphs, key=lambda item: item.prompt_hash):
        traced = {item.variant: item for item in items}
        fidelity += map(graph_fidelity, traced.values())
        if prompt_hash not in asked and prompt_hash not in labels.rejected:
            acts += [labelled_score(each, by_hash[prompt_hash], labels, "direct") for each in traced.values()]
        if prompt_hash not in ranked:
            continue
        for item in traced.values():
            for name, score in prompt_scores(item, by_hash[prompt_hash], labels).items():
                scores[name].append(score)
            if item.variant != BASE and BASE in traced:
                changed = change_scores(traced[BASE], item, by_hash[prompt_hash], labels)
                scores["change"].append(changed)
    of_each = [
        *(variant.keys for variant in activity),
        *(variant.keys for variant in contexts),
        *(score.keys for score in (*scores["direct"], *acts)),
        *(prompt.keys for prompt in activations),
    ]
    keys = np.unique(np.concatenate([*of_each, np.empty(0, np.int64)]))
    groups = {
        "cards": _cards(keys, activity, contexts, edges, promoted(*split_key(keys))),
        "contexts": _contexts(keys, contexts, params),
        "dictionary": dictionary_table(fidelity, changes, by_hash, params, seed),
        "null_changes": null_changes,
        "ranking_edges": rank_edges(graph_edges, asked, keys, params, seed, nulls=nulls, spread=spread),
    }
    by_weight = {name: weighed(found, weights) for name, found in scores.items()}
    for name, found in (by_weight | {"activation": activations}).items():
        how = replace(how_ranked(name, keys, params, nulls), earlier=earlier.get(name), spread=spread)
        groups[ranking_group(name)], groups[situations_group(name)] = rank_features(
            found, asked, keys, params, seed, how
        )
    ranked_by = [groups[ranking_group(name)]["contrast"].values.tolist() for name in (*scores, "activation")]
    names = list(dict.fromkeys(name for each in ranked_by for name in each))
    groups["acting"] = acting(acts, by_hash, keys, params, seed, names)
    return groups


def how_ranked(name: str, keys: np.ndarray, params: FeatureParams, nulls: Collection[str]) -> Ranked:
    """How a score is ranked; `keys` are the rows."""
    return Ranked(
        name=name,
        kind=_KINDS[name],
        floor=getattr(params.floor, _UNITS[name]),
        nulls=nulls,
        excluded=np.isin(split_key(keys)[0], params.excluded_layers),
    )


def contexts_in(groups: Mapping[str, xr.Dataset], variant: str) -> Contexts:
    """The contexts of a variant that the groups `cards` and `contexts` were made of, to the bit."""
    table = groups["contexts"].isel(variant=groups["contexts"]["variant"].values.tolist().index(variant))
    cards = groups["cards"].isel(variant=groups["cards"]["variant"].values.tolist().index(variant))
    histogram = cards["histogram"].values
    fired = np.flatnonzero(histogram.any(axis=1))  # the others are active on prompts only
    return Contexts(
        variant=variant,
        keys=feature_key(table["layer"].values, table["index"].values)[fired],
        histogram=histogram[fired],
        text=table["text"].values[fired],
        peak=table["peak"].values[fired],
        token=table["token"].values[fired],
        activation=table["activation"].values[fired],
    )


def promoted_in(groups: Mapping[str, xr.Dataset]) -> Promoted:
    """The promoted tokens that the group `cards` was made of."""
    return Promoted(**{field.name: groups["cards"][field.name].values for field in fields(Promoted)})


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
