"""A graph as circuit-tracer's viewer and Neuronpedia read it, for a download button."""

from collections.abc import Sequence

import numpy as np

from dashboard.style.node_names import Words
from pipeline.analysis.node_ids import node_ids
from pipeline.analysis.stored_graph import prune_stored
from pipeline.analysis.viewer_json import Captions, encoded, graph_document, slug_of
from store.documents.token_texts import token_text
from store.views.graph import GraphView


def frontend_json(
    view: GraphView,
    words: Words,
    *,
    prompt: str,
    scan: str,
    node_threshold: float,
    edge_threshold: float,
    pinned: Sequence[str],
) -> bytes:
    """The pruned graph as JSON; `pipeline.analysis.viewer_json` makes it.

    Parameters
    ----------
    view
        The stored graph.
    words
        Token texts of prompt and vocabulary.
    prompt
        The prompt's text.
    scan
        What the viewer looks features up by: the transcoders' source.
    node_threshold, edge_threshold
        What to keep, as `pipeline.analysis.stored_graph.prune_stored` takes them.
    pinned
        Ids of pinned nodes, as `naming.node_ids` makes them.
    """
    captions = Captions(
        slug=slug_of(view.prompt_hash, view.variant),
        scan=scan,
        prompt=prompt,
        tokens=words.tokens,
        targets=[token_text(words.vocabulary, token) for token in view.item.arrays["target_token"].tolist()],
    )
    document = graph_document(
        view,
        prune_stored(view, node_threshold, edge_threshold),
        captions,
        node_threshold=node_threshold,
        pinned=np.flatnonzero(np.isin(node_ids(view.nodes), pinned)).tolist(),
    )
    return encoded(document)
