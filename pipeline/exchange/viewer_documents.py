"""A profile's graphs as texts, and as one JSON file: captions, labels, metadata."""

from collections.abc import Mapping
from typing import Any

from pipeline.analysis.stored_graph import default_pruning, prune_stored
from pipeline.analysis.viewer_json import Captions, encoded, graph_document, slug_of
from pipeline.exchange.feature_cards import FeatureCards
from pipeline.exchange.stored_graphs import StoredGraphs
from pipeline.params.graphs import GraphParams
from store.base.errors import ArtifactMissingError
from store.views.graph import GraphView

Labels = Mapping[tuple[int, int], str]


def export_json(
    stored: StoredGraphs,
    prompt_hash: str,
    variant: str,
    params: GraphParams,
    *,
    node_threshold: float | None = None,
    edge_threshold: float | None = None,
    scan: str | None = None,
    source_set: str | None = None,
) -> tuple[bytes, bool]:
    """The pruned graph as the JSON of circuit-tracer's viewer and of Neuronpedia.

    Parameters
    ----------
    stored, prompt_hash, variant
        Which graph.
    params
        Its thresholds are the default ones.
    node_threshold, edge_threshold
        What to keep, as `pipeline.analysis.stored_graph.prune_stored` takes them.
    scan
        Instead of the transcoders' source: what Neuronpedia calls the model, say.
    source_set
        Neuronpedia's name of the transcoders. Its own explanations then take the place of
        our labels, which would hide them.

    Returns
    -------
    content, exact
        The file, and whether circuit-tracer would keep the same nodes and edges.
    """
    node = params.node_threshold if node_threshold is None else node_threshold
    edge = params.edge_threshold if edge_threshold is None else edge_threshold
    view = GraphView(stored.item(prompt_hash, variant))
    if (node, edge) == (params.node_threshold, params.edge_threshold):
        shown, exact = default_pruning(view), True
    else:
        shown = pruned = prune_stored(view, node, edge)
        exact = pruned.exact
    cards = None if source_set else feature_cards(stored)
    details = _details(stored, view, params, node, edge)
    if source_set:
        details["feature_details"] = {"neuronpedia_source_set": source_set}
    captions = captions_of(stored, view, {} if cards is None else cards.labels(), scan=scan, details=details)
    return encoded(graph_document(view, shown, captions, node_threshold=node)), exact


def feature_cards(stored: StoredGraphs) -> FeatureCards | None:
    """What the profile knows of features; None before the stage `features` has run."""
    try:
        return FeatureCards(
            stored.folder / "features", stored.vocabulary, stored.given_names(), stored.judged_names()
        )
    except ArtifactMissingError:
        return None


def captions_of(
    stored: StoredGraphs,
    view: GraphView,
    labels: Labels,
    *,
    scan: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> Captions:
    """Words for a graph; its features are looked up where their transcoders came from."""
    item = view.item
    return Captions(
        slug=slug_of(item.prompt_hash, item.variant),
        scan=scan or _scan(stored, view),
        prompt=stored.text(item),
        tokens=stored.tokens(item),
        targets=stored.targets(item),
        features=labels,
        details=details or {},
    )


def _details(
    stored: StoredGraphs, view: GraphView, params: GraphParams, node: float, edge: float
) -> dict[str, Any]:
    """The optional metadata of Neuronpedia's schema: which variant, which settings."""
    manifest = stored.manifest
    details: dict[str, Any] = {
        "info": {
            "description": f"{view.variant} of {manifest.base.source}, profile {stored.profile}",
            "source_urls": [manifest.transcoders.source],
        },
        "pruning_settings": {"node_threshold": node, "edge_threshold": edge},
    }
    if not stored.imported:
        names = {"max_n_logits", "desired_logit_prob", "batch_size", "max_feature_nodes"}
        details["generation_settings"] = params.model_dump(include=names)
    return details


def _scan(stored: StoredGraphs, view: GraphView) -> str:
    if stored.imported:
        scan = stored.origin(view.item)["facts"]["scan"]
        # circuit-tracer names a list of transcoders by a hash that changes with every run.
        return scan if isinstance(scan, str) else "custom" if scan else "unknown"
    source = stored.manifest.transcoders
    return f"{source.source}@{source.revision}" if source.revision else source.source
