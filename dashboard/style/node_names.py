"""Nodes in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import pandas as pd

from dashboard.style.text import named, visible
from store.documents.token_texts import token_text


@dataclass(frozen=True, kw_only=True)
class Words:
    """What is needed to write nodes in words: token texts and labels, and names of features."""

    tokens: Sequence[str]
    vocabulary: Sequence[str]
    labels: Mapping[int, str]
    names: Mapping[tuple[int, int], str] = field(default_factory=dict)

    def at(self, position: int) -> str:
        """The prompt's token at a position, white space visible."""
        return visible(self.tokens[position]) if 0 <= position < len(self.tokens) else "?"

    def label(self, token: int) -> str:
        """A token id's label; one without is unlabelled, which is never safe."""
        return self.labels.get(token, "unlabelled")

    def of(self, token: int) -> str:
        """A token id's text, white space visible."""
        return visible(token_text(self.vocabulary, token))


PARTS: Final = {
    "down": "what LoRA on down_proj adds to the MLP's output",
    "hidden": "what adapted gate and up projections add, through the base's down_proj",
    "attention": "what adapted value and output projections add, under the adapted pattern",
}
"""Adapter nodes in words."""


def node_label(kind: str, layer: int, position: int, feature: int, words: Words, part: str = "") -> str:
    """A node in words."""
    match kind:
        case "feature":
            return f"{named(words.names, (layer, feature))} at {words.at(position)} ({position})"
        case "error":
            return f"error L{layer} at {words.at(position)} ({position})"
        case "adapter":
            component = f" component {feature}" if feature >= 0 else ""
            return f"adapter L{layer} {part}{component} at {words.at(position)} ({position})"
        case "token":
            return f"token {words.at(position)} ({position})"
    return f"logit {words.of(feature)}"


def node_labels(nodes: pd.DataFrame, words: Words) -> list[str]:
    """Every node in words; `nodes` as for `pipeline.analysis.node_ids.node_ids`."""
    parts = nodes["part"] if "part" in nodes else [""] * len(nodes)
    return [
        node_label(str(kind), int(layer), int(position), int(feature), words, str(part))
        for kind, layer, position, feature, part in zip(
            nodes["kind"], nodes["layer"], nodes["position"], nodes["feature"], parts, strict=True
        )
    ]
