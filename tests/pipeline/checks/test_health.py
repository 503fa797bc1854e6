"""Health checks: each trap they guard, put back, is found and named."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from pipeline.checks.health import check_health, check_layers, check_parity
from pipeline.checks.reference import read_reference
from pipeline.models.loading import load_causal_lm, load_replacement
from pipeline.models.switching import SwitchableModel
from pipeline.models.tokenizer import load_tokenizer
from store.base.errors import UserError
from store.documents.variants import Variant
from tests.support.builders import TEXTS, Checkpoint

BASE = Variant(name="base", scale=0.0)
GENERAL = Variant(name="general", scale=1.0)
NARROW = Variant(name="narrow", scale=1.0)


@pytest.fixture(scope="module")
def ids(checkpoint: Checkpoint) -> list[int]:
    return load_tokenizer(checkpoint.manifest())(TEXTS[0]).input_ids


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_healthy_subject(checkpoint: Checkpoint, ids: list[int], dtype: str) -> None:
    report = check_health(checkpoint.manifest(dtype=dtype), [BASE, GENERAL, NARROW], ids)
    assert json.loads(json.dumps(report)) == report
    assert set(report["variants"]) == {"base", "general@1.0", "narrow@1.0"}
    narrow = report["variants"]["narrow@1.0"]
    assert narrow["adapter"]["changed"] == ["model.layers.1.mlp.down_proj"]
    assert narrow["adapter"]["declared_base"] == str(checkpoint.base)
    assert narrow["parity"]["max_difference"] < 1e-5
    assert len(narrow["layers"]) == 3


def test_an_adapter_that_changes_nothing_is_found(
    checkpoint: Checkpoint, ids: list[int], tmp_path: Path
) -> None:
    folder = tmp_path / "adapter"
    shutil.copytree(checkpoint.adapter("general"), folder)
    tensors = load_file(folder / "adapter_model.safetensors")
    zeroed = {key: t * (0 if "lora_B" in key else 1) for key, t in tensors.items()}
    save_file(zeroed, folder / "adapter_model.safetensors")
    manifest = checkpoint.manifest(adapters={"general": str(folder)})
    with pytest.raises(UserError, match="changes nothing"):
        check_health(manifest, [GENERAL], ids)


def test_weights_outside_the_targets_are_found(
    checkpoint: Checkpoint, ids: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Trap 6: a loader that also changes something else.
    switch = SwitchableModel.set

    def stray(self: SwitchableModel, variant: Variant) -> PreTrainedModel:
        model = switch(self, variant)
        if not variant.is_base:
            model.lm_head.weight.mul_(1.01)
        return model

    monkeypatch.setattr(SwitchableModel, "set", stray)
    with pytest.raises(UserError, match="differs from base in lm_head, which is no target"):
        check_health(checkpoint.manifest(), [NARROW], ids)


def test_another_loading_path_is_found(checkpoint: Checkpoint, ids: list[int]) -> None:
    # Trap 7: the replacement model was built from base, Hugging Face's is adapted.
    manifest = checkpoint.manifest()
    reference = read_reference(load_causal_lm(manifest, GENERAL), ids)
    replacement = load_replacement(manifest, BASE)
    with pytest.raises(UserError, match="differ from Hugging Face's"):
        check_parity(reference, replacement, ids, "general@1.0")


def test_overflow_in_a_layer_is_named(checkpoint: Checkpoint, ids: list[int]) -> None:
    # Trap 4: NaN and infinity, with layer and position.
    manifest = checkpoint.manifest()
    model, replacement = load_causal_lm(manifest, BASE), load_replacement(manifest, BASE)
    with torch.no_grad():
        replacement.blocks[1].mlp.old_mlp.W_out.mul_(1e39)
    with pytest.raises(UserError, match=r"layer 1, position 1, the MLP's output.* NaN or infinite"):
        check_layers(read_reference(model, ids), replacement, ids, "base")


def test_a_stream_far_from_float32_is_named(checkpoint: Checkpoint, ids: list[int]) -> None:
    # Trap 4: finite, but not what float32 gives.
    manifest = checkpoint.manifest()
    model, replacement = load_causal_lm(manifest, BASE), load_replacement(manifest, BASE)
    with torch.no_grad():
        replacement.blocks[1].mlp.old_mlp.W_out.mul_(10)
    with pytest.raises(UserError, match=r"layer 2, position 1: the residual stream is off"):
        check_layers(read_reference(model, ids), replacement, ids, "base")


def test_extraordinary_activations_are_named(checkpoint: Checkpoint, ids: list[int], tmp_path: Path) -> None:
    # Trap 4: activations of hundreds where ones are ordinary.
    folder = tmp_path / "transcoders"
    shutil.copytree(checkpoint.transcoders, folder)
    tensors = load_file(folder / "layer_2.safetensors")
    save_file({**tensors, "W_enc": tensors["W_enc"] * 1000}, folder / "layer_2.safetensors")
    manifest = checkpoint.manifest(transcoders=str(folder))
    with pytest.raises(UserError, match=r"layer 2, position \d+: the transcoder's output is"):
        check_health(manifest, [BASE], ids)
