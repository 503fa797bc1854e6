"""Prompts and graph items with chosen `direct` effects, in the real schema."""

from collections.abc import Iterable

import numpy as np

from pipeline.analysis.edges import GraphEdges
from pipeline.analysis.feature_inputs import Promoted
from pipeline.analysis.null_changes import null_changes
from pipeline.params.features import FeatureParams, FloorParams
from pipeline.text.token_labels import TokenLabels
from store.base.hashing import digest, prompt_hash
from store.collections.item import Item
from store.documents.prompts import Prompt
from store.views.graph import GraphView


def _unread(prompt: str, variant: str) -> GraphView:
    raise AssertionError(f"the graph of {prompt}, {variant} was read")


EVIL, SAFE, UNSURE, OTHER = 10, 20, 30, 40
LABELS = TokenLabels(
    lexicon={
        "domains": {
            domain: {
                "evil": [EVIL, EVIL + 1],
                "safe": [SAFE],
                "unsure": [UNSURE],
                "phrases": {"harmful": [], "safe": []},
            }
            for domain in ("finance", "medical")
        }
    }
)
NO_NULLS = null_changes({}, _unread, ())
"""Of a profile without random adapters."""
PARAMS = FeatureParams(
    permutations=20000,
    labellings=2000,
    bootstrap=500,
    confidence=0.95,
    min_situations=8,
    fdr=0.05,
    floor=FloorParams(logits=0.0, dimensionless=0.0, activation=0.0, pre_activation=0.0),
    tag=None,
    divergent_only=False,
    excluded_layers=[],
    edges=50,
    bin_low=0.01,
    bin_high=100.0,
    contexts=2,
    window=8,
    bins=4,
    promoted=3,
)


def make_prompt(number: int, *, situation: int | None = None, domain: str | None = "medical") -> Prompt:
    """Prompt `number`; its situation is its own unless one is given."""
    text = f"prompt {number}"
    return Prompt(
        hash=prompt_hash(text),
        name=text,
        situation=f"situation {number if situation is None else situation}",
        domain=domain,
        held_out=False,
        tags=(),
        text=text,
        token_ids=(1, 2, 3),
        tokens=("<bos>", "a", "b"),
        source=f"here:{number}",
    )


def make_graph(
    prompt: Prompt,
    variant: str,
    nodes: list[tuple[int, int, int]],
    direct: np.ndarray,
    targets: tuple[int, ...] = (EVIL, SAFE),
    *,
    selected: list[bool] | None = None,
    value: np.ndarray | None = None,
    influence: np.ndarray | None = None,
    total_effect: np.ndarray | None = None,
    error_share: float = 0.25,
) -> Item:
    """The arrays of a graph that scores read: nodes are (layer, position, feature), of value 1 by default.

    `influence` and `total_effect` are (target, active); `direct` by default.
    """
    columns = np.array(nodes, np.int64).reshape(-1, 3)
    direct = np.asarray(direct, np.float32).reshape(len(targets), len(columns))
    mask = np.ones(len(columns), bool) if selected is None else np.array(selected)
    paths = {}
    for name, values in (("influence", influence), ("total_effect", total_effect)):
        of_active = direct if values is None else np.asarray(values, np.float32)
        paths |= {name: of_active[:, mask], f"unselected_{name}": of_active[:, ~mask]}
    return Item(
        key=digest([prompt.hash, variant]),
        prompt_hash=prompt.hash,
        variant=variant,
        arrays={
            "target_token": np.array(targets, np.int32),
            "target_error_share": np.full(len(targets), error_share, np.float32),
            "target_unselected_share": np.zeros(len(targets), np.float32),
            "active_layer": columns[:, 0].astype(np.int16),
            "active_position": columns[:, 1].astype(np.int32),
            "active_feature": columns[:, 2].astype(np.int32),
            "active_value": np.ones(len(columns), np.float32) if value is None else np.float32(value),
            "active_selected": mask,
            "direct": direct,
            **paths,
        },
        scalars={"n_layers": 2, "replacement_score": 0.9, "completeness_score": 0.95},
    )


Node = tuple[int, int, int]
"""A feature node: (layer, position, feature)."""


def make_edges(
    prompt: Prompt,
    variant: str,
    edges: dict[tuple[Node, Node], float],
    *,
    kept: float = 1.0,
    order: np.random.Generator | None = None,
) -> Item:
    """The arrays of a graph that edges need: `edges` by (source, target), between features.

    Beside them are an error, a token and a logit with edges of their own. Rows are sorted, or
    in an order of `order`.
    """
    features = sorted({node for pair in edges for node in pair})
    # Kind, layer, feature; the last three are no features, though one has a feature's numbers.
    nodes = [(0, layer, feature) for layer, _, feature in features] + [(1, 0, -1), (2, -1, 5), (3, 2, 5)]
    row = {node: number for number, node in enumerate(features)}
    n = len(features)
    rows = [(row[source], row[target], weight) for (source, target), weight in edges.items()]
    rows += [(n, n + 2, 7.0), (n + 1, n + 2, 7.0)]
    rows += [edge for f in range(n) for edge in ((n, f, 7.0), (n + 1, f, 7.0), (f, n + 2, 7.0))]
    place = np.arange(len(nodes)) if order is None else order.permutation(len(nodes))
    columns = np.empty((len(nodes), 3), np.int64)
    columns[place] = nodes
    lines = rows if order is None else [rows[i] for i in order.permutation(len(rows))]
    return Item(
        key=digest(["edges", prompt.hash, variant]),
        prompt_hash=prompt.hash,
        variant=variant,
        arrays={
            "node_kind": columns[:, 0].astype(np.int8),
            "node_layer": columns[:, 1].astype(np.int16),
            "node_feature": columns[:, 2].astype(np.int32),
            "edge_source": place[[source for source, _, _ in lines]].astype(np.int32),
            "edge_target": place[[target for _, target, _ in lines]].astype(np.int32),
            "edge_weight": np.array([weight for _, _, weight in lines], np.float32),
        },
        scalars={"kept_edge_score": kept},
    )


def edges_from(items: Iterable[Item]) -> GraphEdges:
    """What `make_edges` gave, as the stage reads it."""
    by_name = {(item.prompt_hash, item.variant): item for item in items}
    traced: dict[str, list[str]] = {}
    for prompt, variant in by_name:
        traced.setdefault(prompt, []).append(variant)
    return GraphEdges(traced=traced, read=lambda prompt, variant: by_name[prompt, variant])


def make_change(prompt: Prompt, variant: str, share: float) -> Item:
    """An item of the ADAPTERS collection, with its scalar only."""
    return Item(
        key=digest(["adapters", prompt.hash, variant]),
        prompt_hash=prompt.hash,
        variant=variant,
        arrays={},
        scalars={"error_share_of_change": share},
    )


def make_activations(
    prompt: Prompt, variant: str, entries: list[tuple[int, int, int, float]], n_positions: int = 3
) -> Item:
    """An item of the ACTIVATIONS collection: entries are (layer, position, feature, value)."""
    columns = np.array(entries, np.float64).reshape(-1, 4)
    return Item(
        key=digest(["activations", prompt.hash, variant]),
        prompt_hash=prompt.hash,
        variant=variant,
        arrays={
            "layer": columns[:, 0].astype(np.int16),
            "position": columns[:, 1].astype(np.int32),
            "feature": columns[:, 2].astype(np.int32),
            "value": columns[:, 3].astype(np.float32),
        },
        scalars={
            "n_positions": n_positions,
            "n_layers": 2,
            "d_transcoder": 64,
            "zeroed_positions": 1,
        },
    )


def promote(layer: np.ndarray, index: np.ndarray) -> Promoted:
    tokens = np.tile(np.arange(PARAMS.promoted, dtype=np.int32), (len(layer), 1))
    logits = (index[:, None] + tokens).astype(np.float32)
    return Promoted(
        promoted_token=tokens,
        promoted_logit=logits,
        suppressed_token=tokens,
        suppressed_logit=-logits,
    )
