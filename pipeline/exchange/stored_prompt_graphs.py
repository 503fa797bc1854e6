"""Graphs of behaviours' prompts for other programs, in the forms of circuits: GraphML and node-link JSON."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from pipeline.exchange.stored_circuits import Attributes, graphml, node_link
from store.collections.item import Item
from store.documents.behaviour_prompts import (
    BEHAVIOUR_PROMPTS,
    BehaviourPrompt,
    behaviours_in,
    read_behaviour_prompts,
)
from store.documents.token_texts import read_token_texts, token_text
from store.schema.circuits import BEHAVIOUR_GRAPHS
from store.views.by_behaviour import open_collections

CONTRAST: Final = "contrast"
"""The one target: the right answer's logit minus the wrong one's."""
_OF_FEATURE: Final = ("direct", "total_effect", "influence", "gradient", "gradient_contrast")
_OF_TOKEN: Final = ("direct", "total_effect", "influence")
# XML cannot hold it, or reads it back as another.
_NOT_XML: Final = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def prompt_graph_files(folder: Path, variant: str, most: int) -> Iterator[tuple[str, bytes]]:
    """``graph_<behaviour>_<split>_<hash>.graphml`` and ``.json`` of a variant's traced prompts, by name.

    Nodes are features where they are active, named ``L14/12426@7`` with the position, tokens, ``token@7``,
    and `CONTRAST`. Edges go from source to target with their ``weight``: those among the features (of each
    the strongest that the store keeps), and the direct effects of features and tokens on the contrast. The
    graph's own attributes are the prompt, its answers and what was left out. A variant that was not traced
    has none.

    Parameters
    ----------
    folder
        The profile's artifacts.
    variant
        Whose graphs.
    most
        At most so many features of a prompt, those of the largest |total effect|.

    Raises
    ------
    ArtifactMissingError
        The stage has not run.
    """
    source = folder / BEHAVIOUR_PROMPTS
    graphs = open_collections(folder, BEHAVIOUR_GRAPHS.kind)
    texts = read_token_texts(folder / "vocabulary.json")
    for prompt in read_behaviour_prompts(source, behaviours_in(source)):
        if (prompt.hash, variant) not in graphs:
            continue
        graph, nodes, edges = prompt_graph(prompt, graphs.item(prompt.hash, variant), texts, most)
        name = f"graph_{prompt.behaviour}_{prompt.split}_{prompt.hash}"
        yield f"{name}.graphml", graphml(graph, nodes, edges)
        yield f"{name}.json", node_link(graph, nodes, edges)


def prompt_graph(
    prompt: BehaviourPrompt, item: Item, texts: Sequence[str], most: int
) -> tuple[Attributes, dict[str, Attributes], dict[tuple[str, str], Attributes]]:
    """Attributes of a prompt's graph, of its nodes by name, and of its edges by both ends' names.

    Parameters
    ----------
    prompt, item
        A prompt and its BEHAVIOUR_GRAPHS item.
    texts
        Text of every token id.
    most
        At most so many features.
    """
    arrays = item.arrays
    n_active, n_tokens = len(arrays["active_value"]), len(arrays["token"])
    kept = np.sort(np.argsort(-np.abs(arrays["total_effect"]), kind="stable")[:most])
    features = {row: _feature(arrays, row) for row in kept.tolist()}
    nodes: dict[str, Attributes] = {}
    edges: dict[tuple[str, str], Attributes] = {}
    for position in range(n_tokens):
        name = f"token@{position}"
        token = int(arrays["token"][position])
        told = {of: arrays[f"token_{of}"][position].item() for of in _OF_TOKEN}
        nodes[name] = {"kind": "token", "position": position, "token": token, **told}
        nodes[name]["text"] = _xml_text(token_text(texts, token))
        edges[name, CONTRAST] = {"weight": told["direct"]}
    for row, name in features.items():
        told = {of: arrays[of][row].item() for of in _OF_FEATURE}
        nodes[name] = {
            "kind": "feature",
            "layer": int(arrays["active_layer"][row]),
            "position": int(arrays["active_position"][row]),
            "index": int(arrays["active_feature"][row]),
            "activation": arrays["active_value"][row].item(),
            **told,
        }
        edges[name, CONTRAST] = {"weight": told["direct"]}
    nodes[CONTRAST] = {"kind": "contrast", "position": n_tokens - 1}
    ends = zip(arrays["edge_source"].tolist(), arrays["edge_target"].tolist(), strict=True)
    for edge, (source, target) in enumerate(ends):
        if source in features and target in features:
            edges[features[source], features[target]] = {"weight": arrays["edge_weight"][edge].item()}
    right, wrong = arrays["target_token"].tolist()
    graph: Attributes = {
        "variant": item.variant,
        "behaviour": prompt.behaviour,
        "split": prompt.split,
        "group": _xml_text(prompt.group),
        "hash": prompt.hash,
        "prompt": _xml_text(prompt.prompt),
        "correct_answer": _xml_text(prompt.correct_answer),
        "incorrect_answer": _xml_text(prompt.incorrect_answer),
        "correct_token": right,
        "incorrect_token": wrong,
        "logit_correct": arrays["target_logit"][0].item(),
        "logit_incorrect": arrays["target_logit"][1].item(),
        "error_direct": float(item.scalars["error_direct"]),
        "error_total_effect": float(item.scalars["error_total_effect"]),
        "n_layers": int(item.scalars["n_layers"]),
        "n_features": n_active,
        "n_left_out": n_active - len(features),
    }
    return graph, nodes, edges


def _feature(arrays: Mapping[str, np.ndarray], row: int) -> str:
    layer, index, position = (
        int(arrays[name][row]) for name in ("active_layer", "active_feature", "active_position")
    )
    return f"L{layer}/{index}@{position}"


def _xml_text(text: Any) -> str:
    return _NOT_XML.sub("\ufffd", str(text))
