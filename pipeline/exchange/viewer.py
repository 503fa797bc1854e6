"""Serve graphs in circuit-tracer's own viewer, to this machine alone.

circuit-tracer's ``serve`` listens on every network interface and hands out any file that a
path with ``..`` names; its handler and its pages are used here, behind checks.
"""

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from circuit_tracer.frontend.local_server import DEFAULT_FRONTEND_DIR, CircuitGraphHandler
from tqdm import tqdm

from pipeline.analysis.stored_graph import default_pruning
from pipeline.analysis.viewer_json import Captions, encoded, graph_document, slug_of
from pipeline.exchange.stored_graphs import StoredGraphs
from pipeline.exchange.viewer_documents import Labels, captions_of, feature_cards
from pipeline.params.graphs import GraphParams
from store.base.errors import UserError
from store.schema.vocabulary import FEATURE
from store.views.graph import GraphView

HOST: Final = "127.0.0.1"
_HERE: Final = {HOST, "localhost", "::1"}


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
    (folder / "graph-metadata.json").write_bytes(encoded({"graphs": index}))
    if cards is not None:
        for variant, features in shown.items():
            home = folder / slug_of(stored.profile, variant)
            home.mkdir(exist_ok=True)
            for number, card in cards.cards(variant, features):
                (home / f"{number}.json").write_bytes(encoded(card))
    return cards is not None


def viewer(folder: Path, port: int) -> ThreadingHTTPServer:
    """circuit-tracer's viewer on a folder of graphs, reachable from this machine alone.

    Parameters
    ----------
    folder
        What `write_files` wrote.
    port
        Where to listen; 0 takes a free one.

    Raises
    ------
    UserError
        The port is taken.
    """
    handler = partial(_Handler, frontend_dir=DEFAULT_FRONTEND_DIR, data_dir=str(folder.resolve()))
    try:
        return ThreadingHTTPServer((HOST, port), handler)
    except OSError as error:
        raise UserError(
            f"Port {port} cannot be had ({error.strerror}); name another with --port, 0 takes a free one."
        ) from error


class _Handler(CircuitGraphHandler):
    """circuit-tracer's handler, for requests of this machine's pages and files of the folder."""

    def do_GET(self) -> None:
        if not self._is_local():
            self.send_error(403, "Open this page as localhost.")
        elif not self._is_inside():
            self.send_error(404)
        else:
            with suppress(ConnectionError):  # the browser may go on to another page
                self._do_GET()

    def do_POST(self) -> None:
        if self._is_local():
            super().do_POST()
        else:
            self.send_error(403, "Open this page as localhost.")

    def end_headers(self) -> None:
        # The viewer asks for cached files first, and another run may serve other graphs here.
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def _is_local(self) -> bool:
        """No page of another site asks, not even one whose name was made to point here."""
        asked = [f"//{self.headers.get('Host', '')}", self.headers.get("Origin", "")]
        return all(urlsplit(name).hostname in _HERE for name in asked if name)

    def _is_inside(self) -> bool:
        path = self.path.split("?")[0]
        for prefix in ("/data/", "/graph_data/"):
            if path.startswith(prefix):
                file = Path(self.data_dir, path.removeprefix(prefix)).resolve()
                return file.is_file() and file.is_relative_to(self.data_dir)
        return True


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
