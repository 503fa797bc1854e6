"""From requests to a published collection: refill the cache, compute the rest, assemble."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.items.cache import ItemCache
from pipeline.items.refill import refill
from pipeline.items.requests import Request, compute_items
from store.collections.item import Item
from store.collections.writer import write_collection
from store.schema.registry import CollectionSchema


def collect(
    requests: Sequence[Request],
    compute: Callable[[Request], Item],
    *,
    schema: CollectionSchema,
    out: Path,
    provenance: dict[str, Any],
    cache: ItemCache,
) -> None:
    """Compute what the cache and the previous out lack, and publish the collection at `out`.

    A store is assembled afresh from exactly the requested items, so that a removed prompt
    leaves nothing behind.
    """
    if refilled := refill(cache, requests, out):
        print(f"{schema.kind}: {refilled} taken over from the previous store")
    compute_items(requests, compute, cache, label=schema.kind)
    write_collection(out, schema, _cached(requests, compute, cache), provenance=provenance)


def _cached(
    requests: Sequence[Request], compute: Callable[[Request], Item], cache: ItemCache
) -> Iterator[Item]:
    """The items one by one, so that memory does not grow with the number of prompts."""
    for request in requests:
        item = cache.get(request.key)
        yield compute(request) if item is None else item
