"""From units to published collections: refill the cache, compute the rest, assemble."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pipeline.items.cache import ItemCache
from pipeline.items.executor import Executor, compute_unit, in_this_process, lacks
from pipeline.items.model_source import Models
from pipeline.items.refill import refill
from pipeline.items.units import ItemName, Unit
from store.base.errors import UserError
from store.collections.item import Item
from store.collections.writer import write_collection
from store.documents.failures import Failure
from store.schema.specs import CollectionSchema

Places = Mapping[str, str]


def collect(
    units: Sequence[Unit],
    schemas: Sequence[CollectionSchema],
    *,
    folder: Path,
    provenance: Mapping[str, Any],
    models: Models,
    cache: ItemCache,
    places: Places = MappingProxyType({}),
    executor: Executor = in_this_process,
) -> list[Failure]:
    """Compute what the cache and the previous stores lack, and publish the collections.

    Stores are assembled afresh from exactly the wanted items, so that a removed prompt leaves
    nothing behind.

    Parameters
    ----------
    units
        What is to be computed; each says which items are wanted of it.
    schemas
        The collections to publish, each as ``folder/<kind>`` or in its place.
    folder
        The profile's folder of artifacts.
    provenance
        Written into every collection.
    models, cache
        Gives what units are computed with, if there is anything to compute; where finished items are.
    places
        Name of the folder of a kind, where that is not the kind's own.
    executor
        Who computes.

    Returns
    -------
    list of Failure
        Prompts that could not be computed; what they would have given is in no collection.

    Raises
    ------
    UserError
        None could be computed.
    """
    failures = compute(units, models=models, cache=cache, folder=folder, places=places, executor=executor)
    failed = {_together(each) for each in failures}
    done = [unit for unit in units if _together(unit) not in failed]
    for schema in schemas:
        write_collection(
            folder / places.get(schema.kind, schema.kind),
            schema,
            _items(done, schema.kind, models, cache),
            provenance=dict(provenance),
            previous=cache.store(schema.kind),
        )
    return failures


def compute(
    units: Sequence[Unit],
    *,
    models: Models,
    cache: ItemCache,
    folder: Path | None = None,
    places: Places = MappingProxyType({}),
    executor: Executor = in_this_process,
) -> list[Failure]:
    """Put the wanted items into the cache, from previous stores below `folder` where they are there.
    Says by kind, or by its place, how many were computed. Returns and raises as `collect`.
    """
    kinds = list(dict.fromkeys(kind for unit in units for kind, _ in unit.outputs))
    label = {kind: places.get(kind, kind) for kind in kinds}
    if folder is not None:
        for kind in kinds:
            if refilled := refill(cache, kind, _names(units, kind), folder / label[kind]):
                print(f"{label[kind]}: {refilled} taken over from the previous store")
    missing = [(kind, unit) for unit in units for kind, _ in lacks(cache, unit)]
    failures = executor(units, models, cache, " and ".join(label.values()))
    failed = {_together(each) for each in failures}
    for kind in kinds:
        wanted = len(_names(units, kind))
        new = [unit for each, unit in missing if each == kind]
        lost = sum(_together(unit) in failed for unit in new)
        print(f"{label[kind]}: {len(new) - lost} computed, {wanted - len(new)} from the cache")
    if failures:
        print(f"{label[kinds[0]]}: {len(failures)} of {len(units)} failed; the first: {failures[0].reason}")
    if units and len(failures) == len(units):
        raise UserError(f"None of {len(units)} prompts could be computed. {failures[0].reason}")
    return failures


def _names(units: Sequence[Unit], kind: str) -> list[ItemName]:
    return [name for unit in units for each, name in unit.wanted() if each == kind]


def _together(what: Unit | Failure) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    return what.prompt_hash, what.variants, what.settings


def _items(units: Sequence[Unit], kind: str, models: Models, cache: ItemCache) -> Iterator[Item]:
    """The items one by one, so that memory does not grow with the number of prompts."""
    for unit in units:
        for name in _names([unit], kind):
            item, failures = finished(unit, kind, name, models, cache)
            if item is None:
                reason = failures[0].reason if failures else "something removes its items"
                raise UserError(f"{kind} of prompt {name.prompt_hash} cannot be computed: {reason}")
            yield item


def finished(
    unit: Unit, kind: str, name: ItemName, models: Models, cache: ItemCache
) -> tuple[Item | None, list[Failure]]:
    """An item of a unit that was computed, once more where the cache has lost it; None, and why it fails.

    What the cache had may be damaged, or have been removed since: neither is a prompt that fails.
    """
    item = cache.get(kind, name.key)
    if item is not None:
        return item, []
    failures = compute_unit(unit, models, cache)
    return cache.get(kind, name.key), failures
