"""Whatever stands in a model's folder: it is described, or refused in one sentence."""

import json
import random
from pathlib import Path
from typing import Final

import yaml

from tests.support.builders import make_checkpoint
from tests.support.mutations import as_json, as_yaml, is_told, spoiled_bytes, spoiled_value

INPUTS: Final = 200


def _spoiled_header(content: bytes, source: random.Random) -> bytes:
    """A safetensors file: eight bytes of length, a header in JSON, and the numbers."""
    length = int.from_bytes(content[:8], "little")
    header = as_json(spoiled_value(json.loads(content[8 : 8 + length]), source), source)
    return len(header).to_bytes(8, "little") + header + content[8 + length :]


def test_anything_is_described_or_told(tmp_path: Path) -> None:
    source = random.Random(0)
    checkpoint = make_checkpoint(tmp_path / "tiny", n_layers=2)
    paths = [
        checkpoint.base / "config.json",
        checkpoint.base / "model.safetensors",
        checkpoint.adapter("general") / "adapter_config.json",
        checkpoint.adapter("general") / "adapter_model.safetensors",
        checkpoint.transcoders / "config.yaml",
        checkpoint.transcoders / "layer_1.safetensors",
        checkpoint.base / "generation_config.json",
    ]
    # Settings that only some adapters and sets have.
    adapter = json.loads(paths[2].read_text()) | {
        "rank_pattern": {"q_proj": 4},
        "alpha_pattern": {"v_proj": 2},
    }
    paths[2].write_text(json.dumps(adapter))
    checkpoint.manifest()
    told = 0
    for number in range(INPUTS):
        path = paths[number % len(paths)]
        content = path.read_bytes()
        if source.random() < 0.3:
            spoiled = spoiled_bytes(content, source)
        elif path.suffix == ".safetensors":
            spoiled = _spoiled_header(content, source)
        elif path.suffix == ".yaml":
            spoiled = as_yaml(spoiled_value(yaml.safe_load(content), source), source)
        else:
            spoiled = as_json(spoiled_value(json.loads(content), source), source)
        path.write_bytes(spoiled)
        told += is_told(checkpoint.manifest)
        path.write_bytes(content)
    assert INPUTS / 3 < told < INPUTS
