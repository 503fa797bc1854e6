"""A stored graph as circuit-tracer's ``.pt`` file."""

import io
import json

from pipeline.exchange.conversion import rebuild
from pipeline.exchange.graph_metadata import Facts, facts_of_profile
from pipeline.exchange.stored_graphs import StoredGraphs
from pipeline.params.project import Params


def export_pt(stored: StoredGraphs, prompt_hash: str, variant: str, params: Params) -> bytes:
    """The file that circuit-tracer's ``Graph.to_pt`` writes of a graph; the same every time.

    Raises
    ------
    UserError
        The graph, or its full adjacency, is not stored; says what to do.
    """
    item = stored.item(prompt_hash, variant)
    full = stored.full(item, params)
    if stored.imported:
        facts = Facts.from_json(stored.origin(item)["facts"])
    else:
        facts = facts_of_profile(stored.manifest, item)
        # Through JSON as there, since a pickle tells one text met twice from two equal ones.
        facts = Facts.from_json(json.loads(json.dumps(facts.as_json())))
    file = io.BytesIO()
    # Not a path, which is what circuit-tracer declares: torch writes a file's own name into it.
    rebuild(item, full, facts).to_pt(file)  # type: ignore[arg-type]
    return file.getvalue()
