"""The collection of what sampled continuations are, made of a collection of samples."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.evaluation.outcomes import outcome_item, outcome_key
from pipeline.items.refill import refill
from pipeline.items.subject import Subject
from pipeline.items.units import ItemName
from store.collections.item import Item
from store.collections.reader import Collection, open_collection
from store.collections.writer import write_collection
from store.schema.outcomes import SAMPLE_OUTCOMES

Phrases = Mapping[str, Sequence[str]]
"""Phrases of a domain by what they are."""


def publish_outcomes(
    subject: Subject,
    samples: Collection,
    phrases: Mapping[str, Phrases],
    *,
    place: str,
    provenance: Mapping[str, Any],
) -> Collection:
    """Tell what every continuation is, and publish it.

    Parameters
    ----------
    subject
        Whose samples they are.
    samples
        The collection.
    phrases
        By prompt hash.
    place
        Name of the new collection's folder.
    provenance
        Written into it.
    """
    folder = subject.folder / place
    names = _names(samples, phrases)
    refill(subject.cache, SAMPLE_OUTCOMES.kind, names, folder)
    write_collection(
        folder,
        SAMPLE_OUTCOMES,
        _outcomes(samples, subject, phrases, names),
        provenance=provenance,
        previous=subject.cache.store(SAMPLE_OUTCOMES.kind),
    )
    return open_collection(folder)


def _names(samples: Collection, phrases: Mapping[str, Phrases]) -> list[ItemName]:
    return [
        ItemName(key=outcome_key(key, phrases[who.prompt_hash]), **who._asdict())
        for who, key in samples.keys.items()
    ]


def _outcomes(
    samples: Collection, subject: Subject, phrases: Mapping[str, Phrases], names: Sequence[ItemName]
) -> Iterator[Item]:
    """Read off samples: quick, but what was read once needs no tokenizer."""
    kind, cache = SAMPLE_OUTCOMES.kind, subject.cache
    for name in names:
        item = cache.get(kind, name.key)
        if item is None:
            item = outcome_item(
                samples.item(name.prompt_hash, name.variant, setting=name.setting),
                subject.prompts[name.prompt_hash],
                phrases[name.prompt_hash],
                subject.models.tokenizer,
                key=name.key,
            )
            cache.put(kind, item)
        yield item
