"""Stage `features`: features ranked by what they do for harmful against safe tokens."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import xarray as xr

from pipeline.analysis.activity import prompt_activity
from pipeline.analysis.earlier_cells import EarlierCells
from pipeline.analysis.edges import READ as EDGES_READ
from pipeline.analysis.edges import GraphEdges
from pipeline.analysis.feature_inputs import Contexts, Promoted, histogram_edges
from pipeline.analysis.feature_tables import contexts_in, feature_groups, promoted_in
from pipeline.analysis.null_changes import READ as CHANGES_READ
from pipeline.analysis.null_changes import null_changes
from pipeline.analysis.pivotal_weights import prompt_weights
from pipeline.analysis.scores import READ, PromptScores, activation_scores
from pipeline.analysis.spreading import Spread, in_threads
from pipeline.items.closure import library_versions
from pipeline.items.code import QualifiedName, code_base
from pipeline.items.collect import compute
from pipeline.items.provenance import provenance
from pipeline.items.refill import refill
from pipeline.items.spread import on_executor
from pipeline.items.subject import Subject
from pipeline.items.taken_over import TABLES, made_of, taken_over
from pipeline.items.units import ItemName, make_unit
from pipeline.labels.published import read_labels
from pipeline.params.features import FeatureParams
from pipeline.params.project import Params
from pipeline.params.runtime import RuntimeParams
from pipeline.run.reports import none_scored, write_metrics
from pipeline.run.stage import run_stage
from store.base.errors import StoreError, UserError
from store.base.hashing import PROMPT_HASH_DIGITS, digest, file_digest
from store.collections.item import Item
from store.collections.reader import Collection, open_collection
from store.datasets.groups import open_dataset, read_provenance, write_dataset
from store.documents.variants import BASE
from store.schema.features import FEATURES
from store.schema.pivotality import PIVOTALITY
from store.schema.rankings import ranking_group
from store.schema.vocabulary import ALL, SCORES
from store.views.graph import GraphView

MADE_OF: Final = "items"
"""Where the dataset's provenance tells keys by kind and variant of what is no collection."""
CELLS: Final = "cells"
"""Where it tells, by score, what each cell of the ranking was made of."""
NULLS: Final = "null_changes"
"""The group that is taken over where no graph of a random adapter is new."""
RANKED: Final = QualifiedName("pipeline.analysis.ranking", "rank")
COMPARED: Final = QualifiedName("pipeline.analysis.null_changes", "null_changes")
CONTEXTS: Final = QualifiedName("pipeline.features.contexts", "compute_contexts")
PROMOTED: Final = QualifiedName("pipeline.features.promoted", "compute_promoted")


def items_of(
    subject: Subject, kind: str, code: QualifiedName, variants: Sequence[str], arguments: Mapping[str, Any]
) -> list[Item]:
    """What depends on no prompt, an item a variant: computed where cache and last dataset lack it."""
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
    names = [unit.item(variant) for unit, variant in zip(units, variants, strict=True)]
    if found := refill(subject.cache, kind, names, subject.folder / FEATURES.kind, partial(stored, kind)):
        print(f"{kind}: {found} taken over from the previous store")
    compute(units, models=subject.source, cache=subject.cache, executor=subject.executor)
    items = [subject.item(unit, kind, name) for unit, name in zip(units, names, strict=True)]
    return [item for item in items if item is not None]


def stored(kind: str, folder: Path, names: Sequence[ItemName]) -> Iterator[Item]:
    """Those of the items that a dataset was made of; it tells their keys in its provenance."""
    keys = read_provenance(folder).get(MADE_OF, {}).get(kind, {})
    wanted = [name for name in names if keys.get(name.variant) == name.key]
    groups = {group: open_dataset(folder, group) for group in ("cards", "contexts") if wanted}
    for name in wanted:
        found = contexts_in(groups, name.variant) if kind == "contexts" else promoted_in(groups)
        yield Item(**asdict(name), arrays=_arrays(found), scalars={})


def _arrays(found: Contexts | Promoted) -> dict[str, np.ndarray]:
    return {name: value for name, value in vars(found).items() if isinstance(value, np.ndarray)}


def contexts_of(subject: Subject, texts: str | None, edges: np.ndarray, params: FeatureParams) -> list[Item]:
    """Strongest contexts of base and focus, as `Contexts`; none without texts.

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
    return items_of(subject, "contexts", CONTEXTS, subject.pair, arguments)


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
    """Where edges of graphs are read."""
    return GraphEdges(
        traced={prompt: found.variants(prompt) for prompt in found.prompts()},
        read=lambda prompt, variant: found.item(prompt, variant, EDGES_READ),
        stored=found.items(EDGES_READ),
    )


def changes_of(folder: Path) -> Iterator[Item]:
    """Scalars of every item of the profile's ADAPTERS collection; none where it has no such."""
    if not folder.exists():
        return
    yield from open_collection(folder).items(())


def earlier_cells(folder: Path, runtime: RuntimeParams) -> dict[str, EarlierCells]:
    """The cells of the last dataset, by score: what one more prompt does not change is not tested again."""
    code = digest([code_base().digest([RANKED]), library_versions(), runtime.model_dump()])
    try:
        told = read_provenance(folder).get(CELLS, {})
        rankings = {name: open_dataset(folder, ranking_group(name)) for name in told}
    except StoreError:
        told, rankings = {}, {}
    return {name: EarlierCells(code, rankings.get(name), told.get(name, {})) for name in SCORES}


def null_changes_of(
    folder: Path, graphs: Collection, nulls: Sequence[str], runtime: RuntimeParams
) -> tuple[xr.Dataset, str]:
    """The group `null_changes`, and what it is made of: from the last dataset, where that is the same."""
    traced = {prompt: graphs.variants(prompt) for prompt in graphs.prompts()}
    with_nulls = {prompt: variants for prompt, variants in traced.items() if set(variants) & set(nulls)}
    keys = [graphs.key(prompt, variant) for prompt, variants in with_nulls.items() for variant in variants]
    wanted = made_of([COMPARED], runtime, [keys, list(nulls)])
    if (known := taken_over(folder, NULLS, wanted, [NULLS])) is not None:
        return known[NULLS], wanted

    def read(prompt: str, variant: str) -> GraphView:
        return GraphView(graphs.item(prompt, variant, CHANGES_READ))

    return null_changes(with_nulls, read, nulls), wanted


def weights_of(folder: Path, focus: str, params: FeatureParams) -> dict[str, float] | None:
    """How much prompts weigh, by what stage `pivotality` found; None: all alike."""
    if not params.by_pivotality:
        return None
    return prompt_weights(open_dataset(folder / PIVOTALITY.kind, "prompts"), focus)


def spread_of(subject: Subject) -> Spread:
    """Who tests cells: threads, which share the arrays of this process, or the executor that is asked for."""
    return in_threads if subject.runtime.executor == "local" else on_executor(subject.executor)


def summary(groups: Mapping[str, xr.Dataset]) -> dict[str, Any]:
    """Metrics by score and contrast, over all domains: what is scored, tested and found.

    Beside the scores of features, `edges` counts pairs of features.
    """
    scores = {score: _counts(groups[ranking_group(score)], "features") for score in SCORES}
    edges = groups["ranking_edges"]
    return scores | {
        "edges": {
            contrast: found
            | {
                "pairs": int(edges["n_pairs"].values[row]),
                "smallest_kept_edge_score": float(edges["kept_edge_score"].values[row]),
            }
            for row, (contrast, found) in enumerate(_counts(edges, "pairs").items())
        }
    }


def _counts(table: xr.Dataset, what: str) -> dict[str, dict[str, int]]:
    table = table.sel(domain=ALL)
    return {
        str(contrast): {
            "scored_prompts": int(table["n_scored"].values[row]),
            "left_out_prompts": int(table["n_left_out"].values[row]),
            f"tested_{what}": int(np.isfinite(table["q"].values[row]).sum()),
            f"found_{what}": int(table["found"].values[row].sum()),
        }
        for row, contrast in enumerate(table["contrast"].values)
    }


def main(profile: str, params: Params) -> None:
    """Write the features dataset of a profile."""
    subject = Subject(profile, params.runtime)
    activations = open_collection(subject.folder / "activations")
    chosen = params.features
    edges = histogram_edges(chosen.bin_low, chosen.bin_high, chosen.bins)

    items: dict[str, dict[str, str]] = {}

    def promoted(layer: np.ndarray, index: np.ndarray) -> Promoted:
        arguments = {"layer": layer.tolist(), "index": index.tolist(), "n": chosen.promoted}
        (item,) = items_of(subject, "promoted", PROMOTED, [BASE], arguments)
        items["promoted"] = {item.variant: item.key}
        return Promoted(**item.arrays)

    contexts = contexts_of(subject, params.profile(profile).texts, edges, chosen)
    items["contexts"] = {item.variant: item.key for item in contexts}

    scores: list[PromptScores] = []

    def read() -> Iterator[Item]:
        for item in activations.items():
            scores.append(activation_scores(item))
            yield item

    activity = prompt_activity(read())
    graphs = open_collection(subject.folder / "graphs")
    nulls = [str(subject.manifest.variant(name)) for name in params.profile(profile).nulls]
    of_nulls, nulls_made_of = null_changes_of(subject.folder / FEATURES.kind, graphs, nulls, params.runtime)
    earlier = earlier_cells(subject.folder / FEATURES.kind, params.runtime)
    groups = feature_groups(
        graphs=scored_graphs(graphs),
        graph_edges=edges_of(graphs),
        activations=scores,
        changes=changes_of(subject.folder / "adapters"),
        activity=activity,
        contexts=[Contexts(variant=item.variant, **item.arrays) for item in contexts],
        edges=edges,
        promoted=promoted,
        null_changes=of_nulls,
        prompts=list(subject.prompts.values()),
        labels=read_labels(subject.folder),
        params=chosen,
        seed=params.runtime.seed,
        nulls=nulls,
        earlier=earlier,
        weights=weights_of(subject.folder, subject.focus, chosen),
        spread=spread_of(subject),
    )
    sections = {
        "features": params.features.model_dump(),
        "runtime": params.runtime.model_dump(),
        "profile": {"nulls": nulls},
    }
    cells = {name: dict(sorted(of.made_of.items())) for name, of in earlier.items()}
    told = {MADE_OF: items, CELLS: cells, TABLES: {NULLS: nulls_made_of}}
    origin = provenance("features", subject.manifest, sections) | told
    write_dataset(subject.folder / "features", FEATURES, groups, provenance=origin)
    metrics = summary(groups)
    print(f"features: {groups['cards'].sizes['feature']} active somewhere")
    # Changes of activation are ranked without labels; an effect that is known at all is known as `direct`.
    scored = [found["scored_prompts"] for found in metrics["direct"].values()]
    write_metrics(subject.folder, "features", metrics, none_scored(profile, max(scored, default=0)))


if __name__ == "__main__":
    run_stage(main, Params)
