"""Feature cards for circuit-tracer's viewer, from the ``features`` artifact.

The fields are those of ``circuit_tracer/frontend/feature_models.py`` (0.5.0). Left out are
the histogram and the quantiles of activation: the viewer draws linear bins, the artifact
counts log-spaced ones, and what is between cannot be known.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.analysis.viewer_json import cantor
from pipeline.labels.feature_names import Feature, feature_names, promoted_names
from pipeline.labels.judged_names import JudgedName
from store.datasets.groups import open_dataset
from store.documents.token_texts import token_text


class FeatureCards:
    """What the ``features`` artifact knows of features, in the viewer's words.

    Parameters
    ----------
    path
        The artifact.
    vocabulary
        Text of every token id.
    people, judged
        Names that people and judges gave, by (layer, feature).

    Raises
    ------
    ArtifactMissingError
        There is no such artifact.
    """

    def __init__(
        self,
        path: Path,
        vocabulary: Sequence[str],
        people: Mapping[Feature, str] | None = None,
        judged: Mapping[Feature, JudgedName] | None = None,
    ) -> None:
        self._cards = open_dataset(path, "cards")
        self._contexts = open_dataset(path, "contexts")
        self._vocabulary = vocabulary
        self._people = people or {}
        self._judged = judged or {}
        self._rows = _rows_of(self._cards)

    def labels(self) -> dict[Feature, str]:
        """What the features on the cards are called, as on the dashboard."""
        promoted = promoted_names(self._cards, self._vocabulary)
        names = feature_names(self._people, self._judged, promoted)
        return {feature: names[feature] for feature in promoted}

    def cards(self, variant: str, features: Iterable[Feature]) -> Iterator[tuple[int, dict[str, Any]]]:
        """The viewer's number of each feature, and its card as seen from one variant.

        Features that the artifact does not know (of imported graphs, say) get an empty one.

        Parameters
        ----------
        variant
            Its contexts come first, and the frequency is its own.
        features
            (layer, feature), both 0-based.
        """
        asked = sorted(set(features))
        known = [feature for feature in asked if feature in self._rows]
        facts = self._cards[["frequency", "promoted_token", "suppressed_token"]]
        facts = facts.isel(feature=[self._rows[feature] for feature in known]).load()
        at = _rows_of(self._contexts)
        contexts = self._contexts.isel(feature=[at[feature] for feature in known]).load()
        places = {feature: place for place, feature in enumerate(known)}
        for layer, feature in asked:
            card = _empty(layer, feature)
            if (layer, feature) in places:
                card |= self._known(facts, contexts, places[layer, feature], variant)
            yield cantor(layer, feature), card

    def _known(self, facts: Any, contexts: Any, place: int, variant: str) -> dict[str, Any]:
        variants = contexts["variant"].values.tolist()
        quantiles = [
            {
                "quantile_name": f"{name}: strongest contexts in held-out text",
                "examples": self._examples(contexts, variants.index(name), place),
            }
            for name in sorted(variants, key=lambda name: (name != variant, name != "base", name))
        ]
        inside = contexts["token"].values[:, place] >= 0
        largest = np.max(contexts["activation"].values[:, place], where=inside, initial=0.0)
        card: dict[str, Any] = {
            "examples_quantiles": [quantile for quantile in quantiles if quantile["examples"]],
            "top_logits": self._texts(facts["promoted_token"].values[place]),
            "bottom_logits": self._texts(facts["suppressed_token"].values[place]),
            "act_max": float(largest) or 1.0,
        }
        if variant in facts["variant"].values:
            frequency = facts["frequency"].sel(variant=variant).values[place]
            card["activation_frequency"] = float(frequency)
        return card

    def _examples(self, contexts: Any, variant: int, place: int) -> list[dict[str, Any]]:
        examples = []
        for number, line in enumerate(contexts["text"].values[variant, place].tolist()):
            if line < 0:
                continue
            tokens = contexts["token"].values[variant, place, number]
            inside = tokens >= 0
            activation = contexts["activation"].values[variant, place, number][inside]
            examples.append(
                {
                    "tokens": self._texts(tokens[inside]),
                    "tokens_acts_list": [round(float(value), 4) for value in activation],
                    "train_token_ind": int(contexts["peak"].values[variant, place, number]),
                    "is_repeated_datapoint": False,
                }
            )
        return examples

    def _texts(self, tokens: np.ndarray) -> list[str]:
        return [token_text(self._vocabulary, token) for token in tokens.tolist()]


def _rows_of(table: Any) -> dict[Feature, int]:
    pairs = zip(table["layer"].values.tolist(), table["index"].values.tolist(), strict=True)
    return {pair: row for row, pair in enumerate(pairs)}


def _empty(layer: int, feature: int) -> dict[str, Any]:
    return {
        "transcoder_id": str(layer),
        "index": feature,
        "examples_quantiles": [],
        "top_logits": [],
        "bottom_logits": [],
        "act_min": 0.0,
        "act_max": 1.0,
    }
