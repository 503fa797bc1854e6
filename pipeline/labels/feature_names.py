"""Names of features: a person's, a judge's, or what a feature promotes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from pipeline.labels.events import Event, FeatureEvent, stamp
from pipeline.labels.heads import heads
from pipeline.labels.judged_names import JudgedName
from store.documents.token_texts import token_text

if TYPE_CHECKING:
    import xarray as xr

Feature = tuple[int, int]
"""Layer and index."""

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
    return f"→ {', '.join(chosen)}" if chosen else ""


def promoted_names(cards: "xr.Dataset", texts: Sequence[str]) -> dict[Feature, str]:
    """Names of the features on the cards of a FEATURES dataset, by what they promote; texts by token id."""
    rows = zip(
        cards["layer"].values.tolist(),
        cards["index"].values.tolist(),
        cards["promoted_token"].values.tolist(),
        strict=True,
    )
    return {
        (layer, index): promoted_name(token_text(texts, token) for token in tokens if token >= 0)
        for layer, index, tokens in rows
    }


def feature_names(
    people: Mapping[Feature, str], judged: Mapping[Feature, JudgedName], promoted: Mapping[Feature, str]
) -> dict[Feature, str]:
    """What features are called, wherever they stand: by a person, else by a judge, else by what they promote.

    Parameters
    ----------
    people
        Of `given_names`.
    judged
        Of `pipeline.labels.judged_names.judged_names`.
    promoted
        Of `promoted_name`.
    """
    return {**promoted, **{feature: judge.name for feature, judge in judged.items()}, **people}


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
