"""Gemma-3 and GemmaScope 2: rotations by kind of layer, files of their own, four positions zeroed."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.models.loading import load_causal_lm, load_replacement
from store.base.errors import UserError
from store.documents.variants import Variant
from tests.support.builders import CONTEXT, make_checkpoint

GENERAL = Variant(name="general", scale=1.0)


@pytest.mark.parametrize("scaled", [False, True])
def test_gemma3_turns_local_and_global_layers_at_bases_of_their_own(tmp_path: Path, scaled: bool) -> None:
    """As gemma-3-1b has it: one key head, five local layers to a global one; further on, scaled as in 4b."""
    checkpoint = make_checkpoint(tmp_path / "x", architecture="gemma3", n_layers=7, n_key_value_heads=1)
    path = checkpoint.base / "config.json"
    config = json.loads(path.read_text()) | {"layer_types": None, "sliding_window_pattern": 6}
    if not scaled:
        config["rope_scaling"] = None
    path.write_text(json.dumps(config))
    manifest = checkpoint.manifest()
    ids = torch.randint(3, 300, (1, CONTEXT), generator=torch.Generator().manual_seed(0))  # four windows
    model, replacement = load_causal_lm(manifest, GENERAL), load_replacement(manifest, GENERAL)
    assert [block.attn.attn_type for block in replacement.blocks] == [*["local"] * 5, "global", "local"]
    with torch.no_grad():
        expected, got = model(ids).logits, replacement(ids)
    torch.testing.assert_close(got, expected, rtol=0, atol=3e-5)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"rope_scaling": {"rope_type": "yarn", "factor": 2.0}}, "by 'yarn'; supported is 'linear'"),
        ({"use_bidirectional_attention": True}, "attends in both directions"),
        ({"architectures": ["Gemma3ForConditionalGeneration"]}, "is a Gemma3ForC.*; supported are"),
    ],
)
def test_gemma3_that_cannot_be_traced_is_refused(tmp_path: Path, said: dict[str, Any], message: str) -> None:
    checkpoint = make_checkpoint(tmp_path / "x", architecture="gemma3", n_layers=2)
    path = checkpoint.base / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | said))
    with pytest.raises(UserError, match=message):
        checkpoint.manifest()
