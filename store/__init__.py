"""The artifact store: Zarr arrays indexed by prompt hash, layer, position and feature.

Knows neither torch nor streamlit. The format is written down in ``FORMAT.md``.

>>> from pathlib import Path
>>> from store import open_collection, open_dataset
>>> graphs = open_collection(Path("artifacts/organism/graphs"))   # doctest: +SKIP
>>> prompt = graphs.prompts()[0]                                  # doctest: +SKIP
>>> graphs.variants(prompt)                                       # doctest: +SKIP
['base', 'general@1.0']
>>> from store.views.graph import GraphView
>>> graph = GraphView(graphs.item(prompt, "base"))                # doctest: +SKIP
>>> graph.nodes.nlargest(5, "influence")                          # doctest: +SKIP
>>> from store.views.activations import select
>>> activations = open_collection(Path("artifacts/organism/activations"))    # doctest: +SKIP
>>> select(activations, prompt_hash=prompt, layer=2, feature=618)            # doctest: +SKIP
>>> open_dataset(Path("artifacts/organism/features"), "ranking").to_dataframe()  # doctest: +SKIP
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from store.base.errors import (
        ArtifactMissingError,
        DamagedArtifactError,
        InvalidItemError,
        NotInStoreError,
        ReplacedArtifactError,
        StoreError,
        UnknownFormatError,
    )
    from store.collections.item import Item
    from store.collections.reader import Collection, open_collection
    from store.collections.writer import write_collection
    from store.datasets.groups import open_dataset, read_provenance, write_dataset

__all__ = [
    "ArtifactMissingError",
    "Collection",
    "DamagedArtifactError",
    "InvalidItemError",
    "Item",
    "NotInStoreError",
    "ReplacedArtifactError",
    "StoreError",
    "UnknownFormatError",
    "open_collection",
    "open_dataset",
    "read_provenance",
    "write_collection",
    "write_dataset",
]

_HOMES: Final = {
    "Collection": "collections.reader",
    "open_collection": "collections.reader",
    "write_collection": "collections.writer",
    "open_dataset": "datasets.groups",
    "read_provenance": "datasets.groups",
    "write_dataset": "datasets.groups",
    "Item": "collections.item",
}


def __getattr__(name: str) -> Any:
    # Lazily, so that a module which writes one file atomically neither loads Zarr nor has
    # the whole store in its import closure (an edit there would retrain the organism).
    if name not in __all__:
        raise AttributeError(f"module 'store' has no attribute '{name}'")
    return getattr(import_module(f"store.{_HOMES.get(name, 'base.errors')}"), name)
