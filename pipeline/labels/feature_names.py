"""Names of features: a person's, a judge's, or what a feature promotes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np

from pipeline.labels.events import Event, FeatureEvent, stamp
from pipeline.labels.heads import heads
from pipeline.labels.judged_names import JudgedName
from store.documents.token_texts import token_text

if TYPE_CHECKING:
    import xarray as xr

Feature = tuple[int, int]
"""Layer and index."""

ARROW: Final = "→"
"""Before a name that nobody gave."""
PROMOTED: Final = 2
"""Tokens in a name that nobody gave."""


def given_names(events: Sequence[Event], transcoders: str) -> dict[Feature, str]:
    """Names that people gave features of these transcoders, by layer and index.

    Those of several people, or of one who gave two, stand beside each other.

    Parameters
    ----------
    events
        Of `pipeline.labels.journal.read_events`.
    transcoders
        Their fingerprint: an index is another feature in others.
    """
    names: dict[Feature, list[str]] = {}
    for event in heads(events):
        if isinstance(event, FeatureEvent) and event.transcoders == transcoders and event.name:
            said = names.setdefault((event.layer, event.feature), [])
            if event.name not in said:
                said.append(event.name)
    return {feature: " / ".join(sorted(said)) for feature, said in names.items()}


def promoted_name(texts: Iterable[str]) -> str:
    """The first tokens that a feature promotes, as a name; empty where none has letters to show.

    >>> promoted_name([" gamble", " Gamble", "  ", " bet", " risk"])
    '→ gamble, bet'
    """
    words: dict[str, str] = {}
    for text in texts:
        word = text.strip()
        if word:
            words.setdefault(word.casefold(), word)
    chosen = list(words.values())[:PROMOTED]
    return f"{ARROW} {', '.join(chosen)}" if chosen else ""


class FeatureNames(Mapping[Feature, str]):
    """What features are called; of millions only the names that somebody asks for are made.

    Parameters
    ----------
    layer, index
        Of the features that promote something; int (feature,).
    promoted
        Token ids that each promotes, the first ones first, negative: none; int (feature, rank).
    texts
        By token id.
    given
        Names that go before what a feature promotes, also of features that are not among those.
    """

    def __init__(
        self,
        layer: np.ndarray,
        index: np.ndarray,
        promoted: np.ndarray,
        texts: Sequence[str],
        given: Mapping[Feature, str] = MappingProxyType({}),
    ) -> None:
        keys = _keys(layer, index)
        self._order = np.argsort(keys, kind="stable")
        self._keys = keys[self._order]
        self._layer, self._index = layer, index
        self._promoted, self._texts, self._given = promoted, texts, given

    def with_given(self, given: Mapping[Feature, str]) -> "FeatureNames":
        """The same with other given names; nothing is copied."""
        other = copy(self)
        other._given = given
        return other

    def __getitem__(self, feature: Feature) -> str:
        if (name := self._given.get(feature)) is not None:
            return name
        row = self._row(feature)
        if row is None:
            raise KeyError(feature)
        return self._name(row)

    def __contains__(self, feature: object) -> bool:
        return feature in self._given or (isinstance(feature, tuple) and self._row(feature) is not None)

    def __iter__(self) -> Iterator[Feature]:
        rows = zip(self._layer.tolist(), self._index.tolist(), strict=True)
        yield from rows
        yield from (feature for feature in self._given if self._row(feature) is None)

    def __len__(self) -> int:
        return len(self._keys) + sum(self._row(feature) is None for feature in self._given)

    def holding(self, text: str) -> set[Feature]:
        """Features whose name holds a text, in whichever case."""
        wanted = text.casefold()
        found = {feature for feature, name in self._given.items() if wanted in name.casefold()}
        for row in self._candidates(wanted).tolist():
            feature = int(self._layer[row]), int(self._index[row])
            if feature not in self._given and wanted in self._name(row).casefold():
                found.add(feature)
        return found

    def _candidates(self, wanted: str) -> np.ndarray:
        """Rows whose name may hold the text: what stands in it between a name's marks is in one word."""
        pieces = [piece.strip() for piece in wanted.replace(ARROW, ",").split(",")]
        longest = max(pieces, key=len)
        size = max(len(self._texts), int(self._promoted.max(initial=-1)) + 1)
        texts = (token_text(self._texts, token).casefold() for token in range(size))
        hits = [token for token, each in enumerate(texts) if longest in each]
        return np.flatnonzero(np.isin(self._promoted, hits).any(axis=1))

    def _row(self, feature: Feature) -> int | None:
        key = int(feature[0]) << 32 | int(feature[1])
        place = int(np.searchsorted(self._keys, key))
        here = place < len(self._keys) and self._keys[place] == key
        return int(self._order[place]) if here else None

    def _name(self, row: int) -> str:
        tokens = self._promoted[row].tolist()
        return promoted_name(token_text(self._texts, token) for token in tokens if token >= 0)


def _keys(layer: np.ndarray, index: np.ndarray) -> np.ndarray:
    return layer.astype(np.int64) << 32 | index.astype(np.int64)


def promoted_names(cards: "xr.Dataset", texts: Sequence[str]) -> FeatureNames:
    """Names of the features on the cards of a FEATURES dataset, by what they promote; texts by token id."""
    layer, index, promoted = (cards[name].values for name in ("layer", "index", "promoted_token"))
    return FeatureNames(layer, index, promoted, texts)


def feature_names(
    people: Mapping[Feature, str], judged: Mapping[Feature, JudgedName], promoted: FeatureNames
) -> FeatureNames:
    """What features are called, wherever they stand: by a person, else by a judge, else by what they promote.

    Parameters
    ----------
    people
        Of `given_names`.
    judged
        Of `pipeline.labels.judged_names.judged_names`.
    promoted
        Of `promoted_names`.
    """
    return promoted.with_given({**{feature: judge.name for feature, judge in judged.items()}, **people})


def naming(
    events: Sequence[Event], author: str, feature: Feature, transcoders: str, name: str
) -> FeatureEvent:
    """The event by which an author names a feature, in place of the names that they gave it before.

    An empty name takes them back.
    """
    before = [
        event.id
        for event in heads(events)
        if isinstance(event, FeatureEvent)
        and (event.author, event.transcoders, event.layer, event.feature) == (author, transcoders, *feature)
    ]
    fields: Mapping[str, object] = {
        **stamp(author),
        "kind": "feature",
        "state": "submitted",
        "layer": feature[0],
        "feature": feature[1],
        "transcoders": transcoders,
        "name": name.strip() or None,
        "replaces": before,
    }
    return FeatureEvent.model_validate(fields)
