"""Write the sample artifacts of a format version: ``python -m tests.support.make_sample``.

Run once a version, then commit ``tests/store/data/vN``; a test reads them forever. Never run
it again for a version that has been committed: it refuses.
"""

import json
import math
from dataclasses import replace
from typing import Any, Final

import numpy as np

from store.datasets.groups import write_dataset
from store.schema.interventions import INTERVENTIONS
from store.schema.specs import FORMAT_VERSION
from tests.support.places import ROOT
from tests.support.random_items import make_groups

DATA: Final = ROOT / "tests" / "store" / "data"
CHANGED: Final = replace(INTERVENTIONS, groups={"agreement": INTERVENTIONS.groups["agreement"]})
"""What this version has of its own; samples of the others are in the versions before."""
PROVENANCE: Final = {"sample": True, "format_version": FORMAT_VERSION}


def main() -> None:
    """Write this version's sample and ``expected.json``, the values as plain lists."""
    folder = DATA / f"v{FORMAT_VERSION}"
    folder.mkdir(parents=True)
    groups = make_groups(CHANGED)
    write_dataset(folder / CHANGED.kind, CHANGED, groups, provenance=PROVENANCE)
    values = {
        group: {str(name): plain(array.values) for name, array in dataset.variables.items()}
        for group, dataset in groups.items()
    }
    text = json.dumps({CHANGED.kind: values}, indent=1, ensure_ascii=False)
    (folder / "expected.json").write_text(f"{text}\n", encoding="utf-8")


def plain(array: np.ndarray) -> Any:
    """Nested lists; NaN as the word, since JSON has none."""
    if array.ndim == 0:
        value = array.item()
        return "NaN" if isinstance(value, float) and math.isnan(value) else value
    return [plain(np.asarray(part)) for part in array]


if __name__ == "__main__":
    main()
