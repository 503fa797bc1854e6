"""Write the sample artifacts of a format version: ``python -m tests.support.make_sample``.

Run once a version, then commit ``tests/store/data/vN``; a test reads them forever. Never run
it again for a version that has been committed: it refuses.
"""

import json
import math
from typing import Any, Final

import numpy as np

from store.collections.item import UNSTEERED, Item
from store.collections.writer import write_collection
from store.schema.faithfulness import HELD_LOGITS
from store.schema.rollouts import ROLLOUTS
from store.schema.specs import FORMAT_VERSION, CollectionSchema
from tests.support.places import ROOT
from tests.support.random_items import make_item

DATA: Final = ROOT / "tests" / "store" / "data"
CHANGED: Final = (ROLLOUTS, HELD_LOGITS)
"""What this version has of its own: a kind that is new, and one that has more; samples of others are in the
versions before."""
SETTINGS: Final = (UNSTEERED, "ab" * 32)
PROVENANCE: Final = {"sample": True, "format_version": FORMAT_VERSION}


def main() -> None:
    """Write this version's samples and ``expected.json``, the values as plain lists."""
    folder = DATA / f"v{FORMAT_VERSION}"
    folder.mkdir(parents=True)
    expected: dict[str, Any] = {}
    for schema in CHANGED:
        items = _items(schema)
        write_collection(folder / schema.kind, schema, items, provenance=PROVENANCE)
        expected[schema.kind] = [_plain_item(item) for item in items]
    text = json.dumps(expected, indent=1, ensure_ascii=False)
    (folder / "expected.json").write_text(f"{text}\n", encoding="utf-8")


def _items(schema: CollectionSchema) -> list[Item]:
    return [
        make_item(schema, "0123456789ab", "base", seed=seed, longest=3, setting=setting)
        for seed, setting in enumerate(SETTINGS)
    ]


def _plain_item(item: Item) -> dict[str, Any]:
    return {
        **item.identity._asdict(),
        "key": item.key,
        "scalars": dict(item.scalars),
        "arrays": {name: plain(array) for name, array in item.arrays.items()},
    }


def plain(array: np.ndarray) -> Any:
    """Nested lists; NaN as the word, since JSON has none."""
    if array.ndim == 0:
        value = array.item()
        return "NaN" if isinstance(value, float) and math.isnan(value) else value
    return [plain(np.asarray(part)) for part in array]


if __name__ == "__main__":
    main()
