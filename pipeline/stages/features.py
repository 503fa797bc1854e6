"""Stage `features`: features ranked by what they do for harmful against safe tokens."""

import json
from pathlib import Path

import numpy as np
import xarray as xr

from pipeline.cards import prompt_activity
from pipeline.contexts import (
    Contexts,
    collect_contexts,
    context_item,
    contexts_from,
    histogram_edges,
)
from pipeline.features import feature_groups
from pipeline.params import FeatureParams, Params
from pipeline.promoted import Promoted, promoted_tokens
from pipeline.provenance import provenance
from pipeline.runtime import run_stage
from pipeline.stages.reports import write_metrics
from pipeline.stages.subject import Subject
from pipeline.texts import read_texts
from store.collections import open_collection
from store.datasets import write_dataset
from store.hashing import PROMPT_HASH_DIGITS, digest
from store.schema import FEATURES

CODE = ("pipeline.contexts",)


def contexts_of(
    subject: Subject, texts: str | None, edges: np.ndarray, params: FeatureParams
) -> list[Contexts]:
    """Strongest contexts of base and focus; none where the profile has no texts.

    They depend on the held-out text and not on the prompts, so they are cached as items:
    one more prompt does not read the text again.
    """
    if texts is None:
        return []
    lines = read_texts(Path(texts), subject.models.tokenizer, subject.manifest.model.context)
    rule = params.model_dump(include={"contexts", "window"}) | {"edges": edges.tolist()}
    cache = subject.cache("contexts")
    found = []
    for variant in (subject.variants[0], subject.focus):
        key = subject.key("contexts", variant, {**rule, "texts": lines})
        item = cache.get(key)
        if item is None:
            model = subject.models.replacement(variant)
            contexts = collect_contexts(model, variant, lines, edges, params)
            item = context_item(contexts, key, digest(lines)[:PROMPT_HASH_DIGITS])
            cache.put(item)
        found.append(contexts_from(item))
    return found


def summary(ranking: xr.Dataset, fdr: float) -> dict[str, dict[str, int]]:
    """Metrics by contrast, over all domains: features scored, tested, and found at the FDR level."""
    everywhere = ranking.sel(domain="all") if "domain" in ranking.indexes else ranking.isel(domain=0)
    return {
        str(contrast): {
            "scored_prompts": int(everywhere["n_scored"].values[row]),
            "left_out_prompts": int(everywhere["n_left_out"].values[row]),
            "tested_features": int(np.isfinite(everywhere["q"].values[row]).sum()),
            "significant_features": int((everywhere["q"].values[row] < fdr).sum()),
        }
        for row, contrast in enumerate(ranking["contrast"].values)
    }


def main(profile: str, params: Params) -> None:
    """Write the features dataset of a profile."""
    subject = Subject(profile, params, CODE)
    activity = prompt_activity(open_collection(subject.folder / "activations").items())
    chosen = params.features
    edges = histogram_edges(chosen.bin_low, chosen.bin_high, chosen.bins)
    base = subject.variants[0]

    def promoted(layer: np.ndarray, index: np.ndarray) -> Promoted:
        model = subject.models.replacement(base)
        return promoted_tokens(model, layer, index, params.features.promoted)

    groups = feature_groups(
        graphs=open_collection(subject.folder / "graphs").items(),
        activity=activity,
        contexts=contexts_of(subject, params.profile(profile).texts, edges, params.features),
        edges=edges,
        promoted=promoted,
        prompts=list(subject.prompts.values()),
        lexicon=json.loads((subject.folder / "lexicon.json").read_text(encoding="utf-8")),
        params=params.features,
        seed=params.runtime.seed,
    )
    sections = {"features": params.features.model_dump(), "runtime": params.runtime.model_dump()}
    origin = provenance("features", subject.manifest, sections)
    write_dataset(subject.folder / "features", FEATURES, groups, provenance=origin)
    write_metrics(subject.folder, "features", summary(groups["ranking"], params.features.fdr))
    print(f"features: {groups['cards'].sizes['feature']} active somewhere")


if __name__ == "__main__":
    run_stage(main)
