"""Stage `features`: features ranked by what they do for harmful against safe tokens."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import xarray as xr

from pipeline.analysis.activity import prompt_activity
from pipeline.analysis.edges import READ as EDGES_READ
from pipeline.analysis.edges import GraphEdges
from pipeline.analysis.feature_inputs import Contexts, Promoted, histogram_edges
from pipeline.analysis.feature_tables import feature_groups
from pipeline.analysis.scores import READ, PromptScores, activation_scores
from pipeline.items.code import QualifiedName
from pipeline.items.collect import compute
from pipeline.items.provenance import provenance
from pipeline.items.subject import Subject
from pipeline.items.units import make_unit
from pipeline.params.features import FeatureParams
from pipeline.params.project import Params
from pipeline.run.reports import write_metrics
from pipeline.run.stage import run_stage
from pipeline.text.lexicon_file import read_lexicon
from store.base.errors import UserError
from store.base.hashing import PROMPT_HASH_DIGITS, digest, file_digest
from store.collections.item import Item
from store.collections.reader import Collection, open_collection
from store.datasets.groups import write_dataset
from store.documents.variants import BASE
from store.schema.features import FEATURES
from store.schema.rankings import ranking_group
from store.schema.vocabulary import ALL, SCORES

CONTEXTS: Final = QualifiedName("pipeline.features.contexts", "compute_contexts")
PROMOTED: Final = QualifiedName("pipeline.features.promoted", "compute_promoted")


def items_of(
    subject: Subject, kind: str, code: QualifiedName, variants: Sequence[str], arguments: Mapping[str, Any]
) -> list[Item]:
    """What depends on no prompt, an item a variant: computed where the cache lacks it."""
    units = [
        make_unit(
            code,
            prompt_hash=digest(arguments)[:PROMPT_HASH_DIGITS],
            token_ids=(),
            variants=[variant],
            outputs=[(kind, variant)],
            arguments=arguments,
            manifest=subject.manifest,
            runtime=subject.runtime,
        )
        for variant in variants
    ]
    compute(units, models=lambda: subject.models, cache=subject.cache)
    found = [subject.cache.get(kind, unit.item(unit.variants[0]).key) for unit in units]
    return [item for item in found if item is not None]


def contexts_of(
    subject: Subject, texts: str | None, edges: np.ndarray, params: FeatureParams
) -> list[Contexts]:
    """Strongest contexts of base and focus; none where the profile has no texts.

    They depend on the held-out text and not on the prompts: one more does not read the text again.

    Raises
    ------
    UserError
        There is no such file.
    """
    if texts is None:
        return []
    try:
        content = file_digest(Path(texts))
    except OSError as error:
        raise UserError(
            f"{texts}: {error.strerror}; create it or set `texts` of the profile in params.yaml to null."
        ) from error
    arguments = {
        "texts": texts,
        "digest": content,
        "max_tokens": subject.manifest.model.context,
        "edges": edges.tolist(),
        "contexts": params.contexts,
        "window": params.window,
    }
    items = items_of(subject, "contexts", CONTEXTS, (BASE, subject.focus), arguments)
    return [Contexts(variant=item.variant, **item.arrays) for item in items]


def scored_graphs(found: Collection) -> Iterator[Item]:
    """Every graph with the arrays that are ranked; edges, which are most of it, are not read.

    Raises
    ------
    NotInStoreError
        The graphs were made by an older version, without these scores; it says what makes
        them anew.
    """
    for prompt in found.prompts():
        for variant in found.variants(prompt):
            yield found.item(prompt, variant, READ)


def edges_of(found: Collection) -> GraphEdges:
    """Where edges of graphs are read, an item at a time."""
    return GraphEdges(
        traced={prompt: found.variants(prompt) for prompt in found.prompts()},
        read=lambda prompt, variant: found.item(prompt, variant, EDGES_READ),
    )


def changes_of(folder: Path) -> Iterator[Item]:
    """Scalars of every item of the profile's ADAPTERS collection; none where it has no such."""
    if not folder.exists():
        return
    found = open_collection(folder)
    for prompt in found.prompts():
        for variant in found.variants(prompt):
            yield found.item(prompt, variant, ())


def summary(groups: Mapping[str, xr.Dataset], fdr: float) -> dict[str, Any]:
    """Metrics by score and contrast, over all domains: what is scored, tested, found at the FDR level.

    Beside the scores of features, `edges` counts pairs of features.
    """
    scores = {score: _counts(groups[ranking_group(score)], "features", fdr) for score in SCORES}
    edges = groups["ranking_edges"]
    return scores | {
        "edges": {
            contrast: found
            | {
                "pairs": int(edges["n_pairs"].values[row]),
                "smallest_kept_edge_score": float(edges["kept_edge_score"].values[row]),
            }
            for row, (contrast, found) in enumerate(_counts(edges, "pairs", fdr).items())
        }
    }


def _counts(table: xr.Dataset, what: str, fdr: float) -> dict[str, dict[str, int]]:
    table = table.sel(domain=ALL)
    return {
        str(contrast): {
            "scored_prompts": int(table["n_scored"].values[row]),
            "left_out_prompts": int(table["n_left_out"].values[row]),
            f"tested_{what}": int(np.isfinite(table["q"].values[row]).sum()),
            f"significant_{what}": int((table["q"].values[row] < fdr).sum()),
        }
        for row, contrast in enumerate(table["contrast"].values)
    }


def main(profile: str, params: Params) -> None:
    """Write the features dataset of a profile."""
    subject = Subject(profile, params.runtime)
    activations = open_collection(subject.folder / "activations")
    chosen = params.features
    edges = histogram_edges(chosen.bin_low, chosen.bin_high, chosen.bins)

    def promoted(layer: np.ndarray, index: np.ndarray) -> Promoted:
        arguments = {"layer": layer.tolist(), "index": index.tolist(), "n": chosen.promoted}
        (item,) = items_of(subject, "promoted", PROMOTED, [BASE], arguments)
        return Promoted(**item.arrays)

    scores: list[PromptScores] = []

    def read() -> Iterator[Item]:
        for item in activations.items():
            scores.append(activation_scores(item))
            yield item

    activity = prompt_activity(read())
    graphs = open_collection(subject.folder / "graphs")
    groups = feature_groups(
        graphs=scored_graphs(graphs),
        graph_edges=edges_of(graphs),
        activations=scores,
        changes=changes_of(subject.folder / "adapters"),
        activity=activity,
        contexts=contexts_of(subject, params.profile(profile).texts, edges, params.features),
        edges=edges,
        promoted=promoted,
        prompts=list(subject.prompts.values()),
        lexicon=read_lexicon(subject.folder / "lexicon.json"),
        params=params.features,
        seed=params.runtime.seed,
    )
    sections = {"features": params.features.model_dump(), "runtime": params.runtime.model_dump()}
    origin = provenance("features", subject.manifest, sections)
    write_dataset(subject.folder / "features", FEATURES, groups, provenance=origin)
    write_metrics(subject.folder, "features", summary(groups, params.features.fdr))
    print(f"features: {groups['cards'].sizes['feature']} active somewhere")


if __name__ == "__main__":
    run_stage(main, Params)
