"""The one loading path: parity, merging, and what is refused."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from pipeline.models.loading import load_causal_lm, load_replacement, load_transcoders
from pipeline.models.tokenizer import load_tokenizer
from store.base.errors import UserError
from store.documents.variants import Variant
from tests.support.builders import PROJECTIONS, TEXTS, Checkpoint, add_adapter, make_checkpoint

BASE = Variant(name="base", scale=0.0)
GENERAL = Variant(name="general", scale=1.0)


def merged_by_peft(checkpoint: Checkpoint, name: str) -> dict[str, torch.Tensor]:
    base = AutoModelForCausalLM.from_pretrained(checkpoint.base)
    return PeftModel.from_pretrained(base, checkpoint.adapter(name)).merge_and_unload().state_dict()


def test_scale_zero_is_the_checkpoint_to_the_bit(checkpoint: Checkpoint) -> None:
    stored = load_file(checkpoint.base / "model.safetensors")
    for variant in (BASE, Variant(name="general", scale=0.0)):
        weights = load_causal_lm(checkpoint.manifest(), variant).state_dict()
        assert all(torch.equal(weights[name], tensor) for name, tensor in stored.items())


@pytest.mark.parametrize("name", ["general", "narrow"])
def test_scale_one_is_merge_and_unload(checkpoint: Checkpoint, name: str) -> None:
    weights = load_causal_lm(checkpoint.manifest(), Variant(name=name, scale=1.0)).state_dict()
    expected = merged_by_peft(checkpoint, name)
    assert all(torch.equal(weights[key], tensor) for key, tensor in expected.items())


@pytest.mark.parametrize(
    "settings",
    [
        {"use_rslora": True},
        {"rank_pattern": {"q_proj": 2, r"layers\.1\.mlp\.up_proj": 8}},
        {"alpha_pattern": {"down_proj": 1, "v_proj": 32}},
        {"use_rslora": True, "rank_pattern": {"o_proj": 9}, "alpha_pattern": {"o_proj": 5}},
    ],
)
def test_scaling_is_the_adapters_own(tmp_path: Path, settings: dict[str, Any]) -> None:
    # Trap 27: the scaling of rsLoRA and of patterns, against PEFT's own merge.
    checkpoint = make_checkpoint(tmp_path / "x", n_layers=2)
    add_adapter(checkpoint, "general", r=4, lora_alpha=8, target_modules=list(PROJECTIONS), **settings)
    manifest = checkpoint.manifest()
    weights = load_causal_lm(manifest, GENERAL).state_dict()
    for key, expected in merged_by_peft(checkpoint, "general").items():
        torch.testing.assert_close(weights[key], expected, rtol=0, atol=1e-6)
    if settings == {"use_rslora": True}:
        assert manifest.adapters["general"].scaling == 8 / math.sqrt(4)


def test_scale_multiplies_the_difference(checkpoint: Checkpoint) -> None:
    manifest = checkpoint.manifest()
    base = load_causal_lm(manifest, BASE).state_dict()
    one = load_causal_lm(manifest, GENERAL).state_dict()
    for scale in (0.5, 2.0, -1.0):
        weights = load_causal_lm(manifest, Variant(name="general", scale=scale)).state_dict()
        for key, tensor in weights.items():
            expected = base[key].double() + scale * (one[key].double() - base[key].double())
            torch.testing.assert_close(tensor.double(), expected, rtol=0, atol=1e-6)


def test_merged_in_float32_and_cast_once(checkpoint: Checkpoint) -> None:
    # Trap 4 and FACTS: merging in bfloat16 rounds the difference away.
    weights = load_causal_lm(checkpoint.manifest(dtype="bfloat16"), GENERAL).state_dict()
    exact = load_causal_lm(checkpoint.manifest(), GENERAL).state_dict()
    for key, tensor in exact.items():
        assert weights[key].dtype == torch.bfloat16
        assert torch.equal(weights[key], tensor.bfloat16())


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "qwen3", "gemma2", "gemma3"])
@pytest.mark.parametrize("name", ["base", "general"])
def test_replacement_has_hugging_faces_logits(tmp_path: Path, architecture: str, name: str) -> None:
    # Trap 7.
    checkpoint = make_checkpoint(tmp_path / "x", architecture=architecture, n_layers=2)
    manifest = checkpoint.manifest()
    variant = manifest.variant(name)
    ids = torch.tensor([load_tokenizer(manifest)(TEXTS[0]).input_ids])
    with torch.no_grad():
        expected = load_causal_lm(manifest, variant)(ids).logits
        got = load_replacement(manifest, variant)(ids)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-5)


def test_llama3_rope_and_head_width_come_from_the_config(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path / "x", n_layers=2)
    path = checkpoint.base / "config.json"
    config = json.loads(path.read_text())
    config["rope_theta"] = 500000.0
    config["rope_scaling"] = {
        "rope_type": "llama3",
        "factor": 4.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 16,
    }
    path.write_text(json.dumps(config))
    manifest = checkpoint.manifest()
    ids = torch.arange(1, 41)[None]
    with torch.no_grad():
        expected = load_causal_lm(manifest, BASE)(ids).logits
        got = load_replacement(manifest, BASE)(ids)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-5)


def test_transcoders_are_those_on_disk_and_shared(checkpoint: Checkpoint) -> None:
    manifest = checkpoint.manifest()
    transcoders = load_transcoders(manifest)
    for layer, transcoder in enumerate(transcoders):
        stored = load_file(checkpoint.transcoders / f"layer_{layer}.safetensors")
        assert torch.equal(transcoder.W_enc, stored["W_enc"])
        assert torch.equal(transcoder.W_dec, stored["W_dec"])
        assert torch.equal(transcoder.activation_function.threshold, stored["activation_function.threshold"])
    models = [load_replacement(manifest, variant, transcoders=transcoders) for variant in (BASE, GENERAL)]
    assert all(model.transcoders is transcoders for model in models)


def test_transcoders_of_another_model_are_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    for size in ({"n_layers": 2}, {"d_model": 16}):
        other = make_checkpoint(tmp_path / str(size), **size)
        with pytest.raises(UserError, match="trained on"):
            checkpoint.manifest(transcoders=str(other.transcoders))
        # Nor later, should the files have changed since.
        manifest = replace(checkpoint.manifest(), transcoders=other.manifest().transcoders)
        with pytest.raises(UserError, match="trained on"):
            load_replacement(manifest, BASE)


def test_pickled_weights_are_not_read(checkpoint: Checkpoint, tmp_path: Path) -> None:
    shutil.copytree(checkpoint.base, tmp_path / "base")
    (tmp_path / "base" / "model.safetensors").unlink()
    torch.save({}, tmp_path / "base" / "pytorch_model.bin")
    with pytest.raises(UserError, match="safetensors"):
        load_causal_lm(checkpoint.manifest(model=str(tmp_path / "base")), BASE)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"use_dora": True}, "use_dora is not supported"),
        ({"lora_bias": True}, "lora_bias is not supported"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save is not supported"),
        ({"bias": "all"}, "bias 'all' is not supported"),
        ({"init_lora_weights": "pissa"}, "changes the base weights"),
        ({"peft_type": "IA3"}, "peft_type 'IA3' is not supported"),
        ({"target_parameters": ["x"]}, "target_parameters is not supported"),
    ],
)
def test_adapters_that_are_no_plain_lora_are_refused(
    checkpoint: Checkpoint, tmp_path: Path, setting: dict[str, Any], message: str
) -> None:
    folder = tmp_path / "adapter"
    shutil.copytree(checkpoint.adapter("general"), folder)
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | setting))
    with pytest.raises(UserError, match=message):
        checkpoint.manifest(adapters={"general": str(folder)})


def test_adapter_tensors_are_checked(checkpoint: Checkpoint, tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    shutil.copytree(checkpoint.adapter("narrow"), folder)
    tensors = load_file(folder / "adapter_model.safetensors")
    half = next(key for key in tensors if "lora_B" in key)
    manifest = checkpoint.manifest(adapters={"general": str(folder)})

    path = folder / "adapter_model.safetensors"
    save_file({**tensors, "base_model.model.lm_head.weight": torch.ones(1)}, path)
    with pytest.raises(UserError, match=r"lm_head\.weight is no plain LoRA weight"):
        load_causal_lm(manifest, GENERAL)
    save_file({k: v for k, v in tensors.items() if k != half}, path)
    with pytest.raises(UserError, match="has only lora_A"):
        load_causal_lm(manifest, GENERAL)
    save_file({k.replace("layers.1", "layers.9"): v for k, v in tensors.items()}, path)
    with pytest.raises(UserError, match=r"layers\.9.*no such module"):
        load_causal_lm(manifest, GENERAL)
    config = folder / "adapter_config.json"
    config.write_text(config.read_text().replace('"r": 1', '"r": 2'))
    save_file(tensors, path)
    with pytest.raises(UserError, match="says rank 2"):
        load_causal_lm(manifest, GENERAL)


def test_a_hub_name_takes_the_same_path(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Trap 7: from the hub's cache, offline, by name and commit.
    commit = "0123456789abcdef0123456789abcdef01234567"
    folders = {"base": checkpoint.base, "transcoders": checkpoint.transcoders}
    folders["general"] = checkpoint.adapter("general")
    for name, folder in folders.items():
        repository = tmp_path / f"models--someone--{name}"
        shutil.copytree(folder, repository / "snapshots" / commit)
        (repository / "refs").mkdir()
        (repository / "refs" / "main").write_text(commit)
    config = tmp_path / "models--someone--transcoders" / "snapshots" / commit / "config.yaml"
    listed = config.read_text().index("transcoders:")
    config.write_text(config.read_text()[:listed])  # a hub set finds its own layer files
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    hub = checkpoint.manifest(
        model="someone/base",
        revision=commit,
        transcoders="someone/transcoders",
        transcoders_revision=commit,
        adapters={"general": f"someone/general@{commit}"},
    )
    local = checkpoint.manifest()
    assert hub.base.revision == hub.adapters["general"].revision == commit
    assert hub.model == local.model
    assert hub.adapters["general"].scaling == local.adapters["general"].scaling
    ids = torch.tensor(load_tokenizer(hub)(TEXTS[0]).input_ids)
    found, expected = (load_replacement(manifest, GENERAL) for manifest in (hub, local))
    with torch.no_grad():
        assert torch.equal(found(ids), expected(ids))
    assert torch.equal(found.transcoders[1].W_dec, expected.transcoders[1].W_dec)


def test_texts_end_where_the_models_generation_settings_say(tmp_path: Path) -> None:
    """The end of a chat's turn is in generation_config.json, and not the tokenizer's end of text."""
    checkpoint = make_checkpoint(tmp_path / "x", n_layers=2)
    path = checkpoint.base / "generation_config.json"
    path.write_text(json.dumps({"eos_token_id": [2, 107]}), encoding="utf-8")
    replacement = load_replacement(checkpoint.manifest(), BASE)
    assert {107, replacement.tokenizer.eos_token_id} <= set(replacement.stops)
