"""Adapters: their factors, and those that do not fit the model."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from pipeline.models.lora import read_adapter_config, read_factors
from pipeline.models.pool import ModelPool
from store.base.errors import UserError
from tests.support.builders import PROJECTIONS, Checkpoint, add_adapter, add_head_adapter, make_checkpoint


def test_factors_are_peft_s(tmp_path: Path) -> None:
    # Trap 27: with rank-stabilised scaling and patterns, module by module against PEFT's own delta.
    checkpoint = make_checkpoint(tmp_path / "x", n_layers=2)
    folder = add_adapter(
        checkpoint,
        "patterns",
        r=4,
        lora_alpha=8,
        target_modules=list(PROJECTIONS),
        use_rslora=True,
        rank_pattern={"o_proj": 9, r"layers\.1\.mlp\.up_proj": 2},
        alpha_pattern={"down_proj": 5},
    )
    factors = read_factors(read_adapter_config(folder))
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(checkpoint.base), folder)
    generator = torch.Generator().manual_seed(0)
    assert len(factors) == 2 * len(PROJECTIONS)
    for module, found in factors.items():
        layer = model.get_submodule(f"base_model.model.{module}")
        inputs = torch.randn(3, found.shape[1], generator=generator)
        with torch.no_grad():
            expected = layer(inputs) - layer.base_layer(inputs)
        got = found.scaling * (inputs @ found.down.T) @ found.up.T
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-5)
        torch.testing.assert_close(found.delta(torch.device("cpu")), layer.get_delta_weight("default"))


def test_an_adapter_that_does_not_fit_leaves_the_model_as_it_was(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    folder = tmp_path / "adapter"
    shutil.copytree(checkpoint.adapter("narrow"), folder)
    adapters = {name: str(checkpoint.adapter(name)) for name in ("general", "narrow")}
    manifest = checkpoint.manifest(adapters=adapters | {"moved": str(folder)})
    path = folder / "adapter_model.safetensors"
    tensors = load_file(path)
    for module, message in (
        ("layers.9.mlp.down_proj", "no such module"),
        ("layers.1.mlp.up_proj", r"by a \(32, 64\) matrix, but the model .* has \(64, 32\)"),
        ("layers.2.mlp.down_proj", None),
    ):
        moved = {key.replace("layers.1.mlp.down_proj", module): tensor for key, tensor in tensors.items()}
        save_file(moved, path)
        pool = ModelPool(manifest)
        before = {name: p.clone() for name, p in pool.replacement("general").named_parameters()}
        if message is None:  # another adapter changes this module, so its base is there
            pool.replacement("moved")
            continue
        with pytest.raises(UserError, match=message):
            pool.replacement("moved")
        after = dict(pool.replacement("general").named_parameters())
        assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


def test_an_adapter_that_changed_since_the_manifest_is_named(checkpoint: Checkpoint, tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    shutil.copytree(checkpoint.adapter("narrow"), folder)
    manifest = checkpoint.manifest(adapters={"moved": str(folder)}, focus="moved")
    path = folder / "adapter_model.safetensors"
    save_file({key.replace("layers.1", "layers.2"): t for key, t in load_file(path).items()}, path)
    with pytest.raises(UserError, match=r"layers\.2\.mlp\.down_proj, which it did not .* `dvc repro`"):
        ModelPool(manifest).causal_lm("moved")


def test_a_tied_unembedding_is_refused(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path / "x", n_layers=2)
    add_head_adapter(checkpoint)
    config = checkpoint.base / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"tie_word_embeddings": True}))
    pool = ModelPool(checkpoint.manifest())
    for ask in (pool.causal_lm, pool.replacement):
        with pytest.raises(UserError, match="shares with the embedding"):
            ask("head")
