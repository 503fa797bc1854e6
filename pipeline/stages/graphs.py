"""Stage `graphs`: attribution graphs of every variant on one target set a prompt."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from pipeline.attribution.graph_units import graph_unit, published_candidates, variants_by_prompt
from pipeline.items.cache import ItemCache
from pipeline.items.executor import lacks
from pipeline.items.model_source import Models
from pipeline.items.subject import Subject
from pipeline.items.units import Unit
from pipeline.params.graphs import GraphParams
from pipeline.params.project import Params
from pipeline.run.reports import write_metrics
from pipeline.run.stage import run_stage
from store.collections.reader import Collection, open_collection
from store.datasets.groups import open_dataset
from store.documents.failures import Failure
from store.documents.variants import BASE
from store.schema.adapters import ADAPTERS
from store.schema.candidates import CANDIDATES
from store.schema.graphs import FULL_GRAPHS, GRAPHS
from store.schema.labels import LABELS

LONG: Final = 60.0
"""Seconds of tracing from which on an estimate is told before it begins."""


def announce(subject: Subject, units: Sequence[Unit], graphs: GraphParams) -> None:
    """Say what the work ahead will take, judging by one prompt, if it is long.

    An adapted variant is traced twice, the second time in the attention mode; all variants
    of a prompt hold their rows at once.
    """
    missing = [unit for unit in units if lacks(subject.cache, unit)]
    if not missing:
        return
    model = subject.models.replacement(BASE)  # before what follows, which imports torch
    from pipeline.attribution.prompt_items import estimate_trace

    estimate = estimate_trace(
        model,
        missing[0].token_ids,
        missing[0].arguments["targets"],
        **graphs.model_dump(include={"max_feature_nodes", "batch_size"}),
    )
    traces = sum(len(unit.variants) for unit in missing)
    seconds = estimate.seconds * 2 * traces
    if seconds >= LONG:
        n_bytes = estimate.bytes + 2 * estimate.row_bytes * len(subject.variants)
        print(
            f"graphs: {traces} to trace, {estimate.sentence()} each; about {seconds / 60:,.0f} min and "
            f"{n_bytes / 1e9:,.1f} GB beside the models",
            flush=True,
        )


def summary(collection: Collection) -> dict[str, dict[str, float]]:
    """Metrics by variant: graphs, and means of their scores and of what was kept."""
    by_variant: dict[str, list[Mapping[str, Any]]] = {}
    for item in collection.items(()):
        by_variant.setdefault(item.variant, []).append(item.scalars)
    names = ["replacement_score", "completeness_score", "kept_node_influence", "kept_edge_score"]
    return {
        variant: {
            "graphs": len(of_each),
            **{name: round(float(np.mean([of[name] for of in of_each])), 4) for name in names},
            "n_nodes": round(float(np.mean([of["n_nodes"] for of in of_each])), 1),
        }
        for variant, of_each in sorted(by_variant.items())
    }


def main(profile: str, params: Params) -> None:
    """Write graphs, full graphs and adapters of a profile."""
    subject, graphs = Subject(profile, params.runtime), params.graphs
    own = published_candidates(
        open_collection(subject.folder / CANDIDATES.kind),
        variants_by_prompt(subject, graphs.every_variant_tag),
    )
    if graphs.trace == "evil":
        from pipeline.labels.tables import found_evil  # imports what tables are made with

        evil = found_evil(open_dataset(subject.folder / LABELS.kind, "candidates"))
        evil |= {prompt.hash for prompt in subject.prompts.values() if prompt.evil_targets}
        print(f"graphs: {len(evil & own.keys())} of {len(own)} prompts have a token that is called evil")
        own = {prompt: of for prompt, of in own.items() if prompt in evil}
    units = [graph_unit(subject, subject.prompts[prompt], of, graphs) for prompt, of in own.items()]

    def trace(units: Sequence[Unit], models: Models, cache: ItemCache, label: str) -> list[Failure]:
        announce(subject, units, graphs)  # now that the last outs are in the cache
        return subject.executor(units, models, cache, label)

    failures = subject.publish(
        "graphs",
        units,
        [GRAPHS, ADAPTERS, FULL_GRAPHS],
        {"graphs": graphs.model_dump()},
        executor=trace,
    )
    subject.write_failures("graphs", failures)
    write_metrics(subject.folder, "graphs", summary(open_collection(subject.folder / GRAPHS.kind)))


if __name__ == "__main__":
    run_stage(main, Params)
