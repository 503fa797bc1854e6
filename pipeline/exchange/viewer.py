"""The files that circuit-tracer's viewer shows; `viewer_server` serves them."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pipeline.analysis.stored_graph import default_pruning
from pipeline.analysis.viewer_json import Captions, encoded, graph_document, slug_of
from pipeline.exchange.stored_graphs import StoredGraphs
from pipeline.exchange.viewer_documents import Labels, captions_of, feature_cards
from pipeline.exchange.viewer_server import INDEX
from pipeline.params.graphs import GraphParams
from store.base.errors import UserError
from store.schema.vocabulary import FEATURE
from store.views.graph import GraphView


def write_files(
    stored: StoredGraphs, pairs: Sequence[tuple[str, str]], folder: Path, params: GraphParams
) -> bool:
    """Write the viewer's files: an index, a JSON a graph, and the cards of their features.

    What was saved in the viewer in the same folder before (pins, groups, labels) is kept.

    Parameters
    ----------
    stored
        Where the graphs are.
    pairs
        Prompts and variants, in the order of the viewer's list.
    folder
        Becomes the viewer's data folder.
    params
        Names the threshold of the stored pruning.

    Returns
    -------
    bool
        Whether there are feature cards.
    """
    cards = feature_cards(stored)
    labels: Labels = {} if cards is None else cards.labels()
    index: list[dict[str, Any]] = []
    shown: dict[str, set[tuple[int, int]]] = {}
    folder.mkdir(parents=True, exist_ok=True)
    for prompt, variant in tqdm(pairs, desc="graphs", unit="graph", disable=None):
        view = GraphView(stored.item(prompt, variant))
        captions = _harmless(captions_of(stored, view, labels))
        if cards is not None:
            # So the viewer reads the cards below; any other name it looks up in the web.
            captions = replace(captions, scan=f"./data/{slug_of(stored.profile, variant)}")
        document = graph_document(view, default_pruning(view), captions, node_threshold=params.node_threshold)
        path = folder / f"{captions.slug}.json"
        document["qParams"] |= _saved(path)
        path.write_bytes(encoded(document))
        index.append({**document["metadata"], "title_prefix": f"{variant}:"})
        shown.setdefault(variant, set()).update(_features(view))
    (folder / f"{INDEX}.json").write_bytes(encoded({"graphs": index}))
    if cards is not None:
        for variant, features in shown.items():
            home = folder / slug_of(stored.profile, variant)
            home.mkdir(exist_ok=True)
            for number, card in cards.cards(variant, features):
                (home / f"{number}.json").write_bytes(encoded(card))
    return cards is not None


def _features(view: GraphView) -> Iterable[tuple[int, int]]:
    arrays = view.item.arrays
    mask = default_pruning(view).nodes & (arrays["node_kind"] == FEATURE)
    return zip(arrays["node_layer"][mask].tolist(), arrays["node_feature"][mask].tolist(), strict=True)


def _harmless(captions: Captions) -> Captions:
    """Captions without HTML: the viewer's tooltips would render what a graph calls its tokens."""

    def plain(text: str) -> str:
        return text.replace("<", "⟨").replace(">", "⟩")

    return replace(
        captions,
        tokens=[plain(text) for text in captions.tokens],
        targets=[plain(text) for text in captions.targets],
        features={feature: plain(text) for feature, text in captions.features.items()},
    )


def _saved(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))["qParams"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is no graph of the viewer's; remove it, or name another folder.") from error
