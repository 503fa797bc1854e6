"""Where in the prompts a feature is silent, in whichever variant."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from pipeline.analysis.scores import feature_key
from pipeline.labels.feature_names import Feature
from store.collections.item import Item
from store.documents.prompts import Prompt

_DRAWS = 4
"""Places that are drawn for each that is wanted: a feature that fires on most tokens gets fewer."""


class Silence:
    """Places of prompts, and which features fire there.

    Parameters
    ----------
    prompts
        Some of a profile.
    activations
        Of the ACTIVATIONS collection: these prompts, the variants whose contexts are shown.
    window
        Tokens around a place.
    """

    def __init__(self, prompts: Sequence[Prompt], activations: Iterable[Item], window: int) -> None:
        self._tokens = [np.array(prompt.token_ids, np.int32) for prompt in prompts]
        lengths = np.array([len(ids) for ids in self._tokens], np.int64)
        self._window = window
        ends = np.cumsum(lengths)
        starts = dict(zip((prompt.hash for prompt in prompts), (ends - lengths).tolist(), strict=True))
        self._prompt = np.repeat(np.arange(len(prompts)), lengths)
        self._position = np.arange(len(self._prompt)) - np.repeat(ends - lengths, lengths)
        keys, places, zeroed = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], 1
        for item in activations:
            keys.append(feature_key(item.arrays["layer"], item.arrays["feature"]))
            places.append(item.arrays["position"].astype(np.int64) + starts[item.prompt_hash])
            zeroed = max(zeroed, int(item.scalars["zeroed_positions"]))
        self._candidates = np.flatnonzero(self._position >= zeroed)
        order = np.argsort(np.concatenate(keys), kind="stable")
        self._keys, self._places = np.concatenate(keys)[order], np.concatenate(places)[order]

    def draw(self, feature: Feature, n: int, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, int]]:
        """Windows (token ids), and the place in each where the feature is silent; at most `n`."""
        if not len(self._candidates):
            return
        key = feature_key(*(np.array([number]) for number in feature))[0]
        first, end = np.searchsorted(self._keys, [key, key + 1])
        drawn = self._candidates[rng.integers(len(self._candidates), size=_DRAWS * n)]
        silent = drawn[~np.isin(drawn, self._places[first:end])]
        for place in list(dict.fromkeys(silent.tolist()))[:n]:
            ids, position = self._tokens[self._prompt[place]], int(self._position[place])
            # As the windows of contexts lie: nothing but the text tells one from the other.
            start = min(max(0, position - self._window // 2), max(0, len(ids) - self._window))
            yield ids[start : start + self._window], position - start
