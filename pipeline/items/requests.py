"""Map over (variant, prompt): compute what the cache lacks, once, with progress.

Every item is computed by a pure function of its content key, so the same loop may run in
one process or many; nothing here knows which stage it serves.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tqdm import tqdm

from pipeline.items.cache import ItemCache
from store.collections.item import Item


@dataclass(frozen=True, kw_only=True)
class Request:
    """One item that a stage needs: its content key, and for which prompt and variant."""

    key: str
    prompt_hash: str
    variant: str


def compute_items(
    requests: Sequence[Request],
    compute: Callable[[Request], Item],
    cache: ItemCache,
    *,
    label: str,
) -> int:
    """Put every requested item into the cache that does not have it; returns how many.

    Each finished item is written before the next is begun: an interrupted run resumes
    where it stopped. `compute` may put further requested items into the cache, which are
    then not computed again.
    """
    missing = [request for request in requests if not cache.holds(request.key)]
    for request in tqdm(missing, desc=label, unit="item", disable=not missing):
        if not cache.holds(request.key):
            cache.put(compute(request))
    print(f"{label}: {len(missing)} computed, {len(requests) - len(missing)} from the cache")
    return len(missing)
