"""Items of one behaviour, computed and published by themselves."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.items.refill import refill
from pipeline.items.subject import Subject
from pipeline.items.units import Unit
from store.collections.reader import Collection, open_collection
from store.schema.specs import CollectionSchema
from store.views.by_behaviour import place


def publish_behaviour(
    subject: Subject,
    stage: str,
    behaviour: str,
    units: Sequence[Unit],
    schema: CollectionSchema,
    parameters: Mapping[str, Mapping[str, Any]],
) -> Collection:
    """Compute units, publish their collection and the failures of a stage; for errors see `Subject.publish`.

    What a collection of all behaviours holds, as they were published before, is not computed again.

    Returns
    -------
    Collection
        That of the behaviour.
    """
    own, former = place(schema.kind, behaviour), subject.folder / schema.kind
    if former.exists() and not (subject.folder / own).exists():
        names = [name for unit in units for kind, name in unit.wanted() if kind == schema.kind]
        refill(subject.cache, schema.kind, names, former)
    failures = subject.publish(stage, units, [schema], parameters, {schema.kind: own})
    subject.write_failures(f"{stage}-{behaviour}", failures)
    return open_collection(subject.folder / own)
