"""The manifest: what is recorded of the models, and what is refused."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from store.base.errors import ArtifactMissingError, UnknownFormatError, UserError
from store.documents.manifest import read_manifest, write_manifest
from store.documents.variants import Variant
from tests.support.builders import Checkpoint, make_checkpoint


def test_facts(checkpoint: Checkpoint) -> None:
    manifest = checkpoint.manifest()
    assert manifest.model.architecture == "LlamaForCausalLM"
    assert (manifest.model.n_layers, manifest.model.d_model) == (3, 32)
    assert manifest.model.d_transcoder == 64
    assert manifest.model.context == 64
    assert manifest.model.feature_input_hook == "mlp.hook_in"
    general, narrow = manifest.adapters["general"], manifest.adapters["narrow"]
    assert (general.rank, general.scaling, len(general.targets)) == (4, 2.0, 21)
    assert (narrow.rank, narrow.scaling) == (1, 4.0)
    assert narrow.targets == ("model.layers.1.mlp.down_proj",)


def test_round_trip_is_byte_stable(checkpoint: Checkpoint, tmp_path: Path) -> None:
    manifest = checkpoint.manifest()
    write_manifest(tmp_path / "models.json", manifest)
    first = (tmp_path / "models.json").read_bytes()
    assert read_manifest(tmp_path / "models.json") == manifest
    write_manifest(tmp_path / "models.json", read_manifest(tmp_path / "models.json"))
    assert (tmp_path / "models.json").read_bytes() == first


def test_missing_and_foreign_manifest(tmp_path: Path) -> None:
    with pytest.raises(ArtifactMissingError, match="dvc repro"):
        read_manifest(tmp_path / "models.json")
    (tmp_path / "models.json").write_text(json.dumps({"format_version": 99}))
    with pytest.raises(UnknownFormatError, match="dvc repro"):
        read_manifest(tmp_path / "models.json")


def test_fingerprints_follow_contents(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path / "a")
    before = checkpoint.manifest()
    config = checkpoint.adapter("general") / "adapter_config.json"
    config.write_text(config.read_text().replace('"lora_alpha": 8', '"lora_alpha": 16'))
    after = checkpoint.manifest()
    assert after.base == before.base
    assert after.adapters["narrow"] == before.adapters["narrow"]
    assert after.adapters["general"].fingerprint != before.adapters["general"].fingerprint
    assert after.adapters["general"].scaling == 4.0


def test_item_fingerprint_names_all_that_determines_weights(checkpoint: Checkpoint) -> None:
    # Trap 15: each of these gives other numbers, so each must give another content key.
    manifest = checkpoint.manifest()
    general = Variant(name="general", scale=1.0)
    other_dtype = replace(manifest, dtype="bfloat16")
    other_set = replace(manifest, transcoders=replace(manifest.transcoders, fingerprint="0" * 64))
    other_base = replace(manifest, base=replace(manifest.base, fingerprint="0" * 64))
    prints = [
        manifest.fingerprint(general),
        manifest.fingerprint(Variant(name="general", scale=0.5)),
        manifest.fingerprint(Variant(name="narrow", scale=1.0)),
        manifest.fingerprint(Variant(name="base", scale=0.0)),
        other_dtype.fingerprint(general),
        other_set.fingerprint(general),
        other_base.fingerprint(general),
    ]
    assert len({json.dumps(fingerprint, sort_keys=True) for fingerprint in prints}) == len(prints)


@pytest.mark.parametrize("dtype", ["float16", "float64", "half"])
def test_dtype_that_overflows_or_is_unknown_is_refused(checkpoint: Checkpoint, dtype: str) -> None:
    # Trap 4.
    with pytest.raises(UserError, match=rf"profiles\.tiny\.dtype is '{dtype}'.*float32, bfloat16"):
        checkpoint.manifest(dtype=dtype)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "no/such/folder"}, r"model no/such/folder is neither a folder here nor in the hub"),
        ({"model": "store/such/folder"}, r"model folder store/such/folder does not exist"),
        ({"transcoders": "nowhere"}, r"transcoders folder nowhere does not exist"),
        ({"adapters": {"general": "./a/b/c"}}, r"adapter folder \./a/b/c does not exist"),
        ({"focus": "medical"}, r"focus is 'medical', but the adapters are general, narrow"),
        (
            {"model": "someone/some-model"},
            r"model someone/some-model is neither a folder here nor in the hub",
        ),
    ],
)
def test_missing_folders_are_named(checkpoint: Checkpoint, changes: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        checkpoint.manifest(**changes)


def test_a_folder_without_a_model_is_named(checkpoint: Checkpoint, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty has no config\.json"):
        checkpoint.manifest(model=str(tmp_path / "empty"))
    with pytest.raises(UserError, match=r"empty has no config\.yaml"):
        checkpoint.manifest(transcoders=str(tmp_path / "empty"))
    with pytest.raises(UserError, match=r"empty has no adapter_config\.json"):
        checkpoint.manifest(adapters={"general": str(tmp_path / "empty")})


def test_unsupported_architecture_names_the_supported(checkpoint: Checkpoint, tmp_path: Path) -> None:
    shutil.copytree(checkpoint.base, tmp_path / "base")
    config = json.loads((tmp_path / "base" / "config.json").read_text())
    config |= {"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2"}
    (tmp_path / "base" / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="GPT2LMHeadModel; supported are LlamaForCausalLM"):
        checkpoint.manifest(model=str(tmp_path / "base"))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"attention_bias": True}, "has biases"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 2.0}}, "scales its rope by 'yarn'"),
    ],
)
def test_settings_the_converter_would_drop_are_refused(
    checkpoint: Checkpoint, tmp_path: Path, setting: dict[str, object], message: str
) -> None:
    shutil.copytree(checkpoint.base, tmp_path / "base")
    path = tmp_path / "base" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | setting))
    with pytest.raises(UserError, match=message):
        checkpoint.manifest(model=str(tmp_path / "base"))


def test_transcoder_folder_is_checked(checkpoint: Checkpoint, tmp_path: Path) -> None:
    folder = tmp_path / "transcoders"
    shutil.copytree(checkpoint.transcoders, folder)
    (folder / "layer_1.safetensors").unlink()
    with pytest.raises(UserError, match=r"has no layer_1\.safetensors"):
        checkpoint.manifest(transcoders=str(folder))
    text = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(text.replace("layer_1.safetensors", "layer_1.pt"))
    with pytest.raises(UserError, match=r"layer_1\.pt is not a safetensors file"):
        checkpoint.manifest(transcoders=str(folder))
    (folder / "config.yaml").write_text(text.replace("transcoder_set", "sparse_coder"))
    with pytest.raises(UserError, match="model_kind is 'sparse_coder'; known are transcoder_set"):
        checkpoint.manifest(transcoders=str(folder))


def test_reading_a_manifest_needs_no_torch() -> None:
    code = "import sys, store.documents.manifest; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
