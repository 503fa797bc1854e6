"""Whatever stands in ``params.yaml``: it is read, or refused in one sentence."""

import random
from pathlib import Path
from typing import Any, Final

import yaml

from pipeline.params.project import load_params
from tests.support.mutations import as_yaml, is_told, spoiled_bytes, spoiled_value
from tests.support.places import ROOT

INPUTS: Final = 300
GOOD: Final[dict[str, Any]] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
BRIEF: Final = GOOD | {"organisms": {}}
"""Most of it is how organisms are trained; one in five inputs has that, too."""


def test_anything_is_read_or_told(tmp_path: Path) -> None:
    source = random.Random(0)
    path = tmp_path / "params.yaml"
    told = 0
    for number in range(INPUTS):
        params = BRIEF if number % 5 else GOOD
        path.write_bytes(
            as_yaml(spoiled_value(params, source), source)
            if number % 2
            else spoiled_bytes(yaml.safe_dump(params, sort_keys=False).encode(), source)
        )
        told += is_told(lambda: load_params(path))
    assert INPUTS / 3 < told < INPUTS  # some are read
