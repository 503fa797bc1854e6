"""A damaged or half-fetched model folder is told in one sentence that names the file."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from pipeline.models.loading import load_causal_lm, load_transcoders
from pipeline.models.tokenizer import load_tokenizer
from store.base.errors import UserError
from store.documents.variants import Variant
from tests.support.builders import Checkpoint
from tests.support.hub_subjects import one_sentence

BASE = Variant(name="base", scale=0.0)
GENERAL = Variant(name="general", scale=1.0)
Damage = Callable[[bytes], bytes]


def pointer(_: bytes) -> bytes:
    return b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 8401\n"


def truncated(content: bytes) -> bytes:
    return content[: len(content) // 2]


def emptied(_: bytes) -> bytes:
    return b""


def binary(_: bytes) -> bytes:
    return b"\xff\xfe\x00\x01"


DAMAGES = pytest.mark.parametrize("damage", [pointer, truncated, emptied, binary])


def harm(path: Path, damage: Damage) -> None:
    path.write_bytes(damage(path.read_bytes()))


def rewrite(path: Path, **changes: object) -> None:
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def assert_says_damaged(load: Callable[[], object], path: Path) -> None:
    message = one_sentence(load)
    assert message.startswith(f"{path} is damaged, or a git-lfs pointer that was not fetched (")
    assert "`git lfs pull`" in message


@DAMAGES
@pytest.mark.parametrize("name", ["adapter_model.safetensors", "adapter_config.json"])
def test_adapter(copy: Checkpoint, name: str, damage: Damage) -> None:
    manifest = copy.manifest()
    path = copy.adapter("general") / name
    harm(path, damage)
    assert_says_damaged(copy.manifest, path)
    assert_says_damaged(lambda: load_causal_lm(manifest, GENERAL), path)


@pytest.mark.parametrize(
    "changes",
    [
        {"r": None},
        {"r": 0},
        {"r": True},
        {"r": "four"},
        {"lora_alpha": None},
        {"lora_alpha": [8]},
        {"lora_alpha": float("nan")},
        {"lora_alpha": float("inf")},
        {"lora_alpha": 10**400},
        {"use_rslora": "yes"},
        {"use_rslora": True, "r": 0},
        {"rank_pattern": [1]},
        {"rank_pattern": "q_proj"},
        {"rank_pattern": {"(": 4}},
        {"rank_pattern": {"q_proj": 0}, "use_rslora": True},
        {"alpha_pattern": {"q_proj": "x"}},
        {"alpha_pattern": {"q_proj": float("nan")}},
        {"alpha_pattern": {"[": 1}},
        {"base_model_name_or_path": 5},
    ],
    ids=str,
)
def test_adapter_configuration_of_another_form(copy: Checkpoint, changes: dict[str, object]) -> None:
    path = copy.adapter("general") / "adapter_config.json"
    rewrite(path, **changes)
    message = one_sentence(copy.manifest)
    key = next(reversed(changes)) if "r" in changes else next(iter(changes))
    assert message.startswith(f"{path}: {key}")
    assert len(message) < 500
    assert "correct it" in message


def test_adapter_without_tensors(copy: Checkpoint) -> None:
    path = copy.adapter("general") / "adapter_model.safetensors"
    manifest = copy.manifest()
    save_file({}, path)
    for load in (copy.manifest, lambda: load_causal_lm(manifest, GENERAL)):
        assert one_sentence(load).startswith(f"{path} holds no tensor, so it changes nothing; ")


def test_adapter_that_is_not_finite(copy: Checkpoint) -> None:
    path = copy.adapter("general") / "adapter_model.safetensors"
    tensors = load_file(path)
    key = next(iter(tensors))
    save_file(tensors | {key: torch.full_like(tensors[key], float("nan"))}, path)
    message = one_sentence(lambda: load_causal_lm(copy.manifest(), GENERAL))
    assert message.startswith(f"{path}: module model.layers.0.")
    assert "NaN" in message


@DAMAGES
@pytest.mark.parametrize("name", ["layer_1.safetensors", "config.yaml"])
def test_transcoders(copy: Checkpoint, name: str, damage: Damage) -> None:
    manifest = copy.manifest()
    path = copy.transcoders / name
    # Half of a short YAML file may still be one; a broken list never is.
    harm(path, (lambda _: b"model_kind: [") if path.suffix == ".yaml" and damage is truncated else damage)
    assert_says_damaged(copy.manifest, path)
    assert_says_damaged(lambda: load_transcoders(manifest), path)


@pytest.mark.parametrize("hook", ["feature_input_hook", "feature_output_hook"])
def test_transcoders_without_a_hook(copy: Checkpoint, hook: str) -> None:
    path = copy.transcoders / "config.yaml"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.startswith(hook)))
    message = one_sentence(copy.manifest)
    assert message.startswith(f"{path}: {hook} is None; ")
    assert f"`{hook}: mlp.hook_" in message


def test_transcoders_listed_wrongly(copy: Checkpoint) -> None:
    path = copy.transcoders / "config.yaml"
    listed = path.read_text().index("transcoders:")
    path.write_text(path.read_text()[:listed] + "transcoders: 3\n")
    assert one_sentence(copy.manifest).startswith(f"{path}: `transcoders` must be a list")


def test_transcoder_without_a_tensor(copy: Checkpoint) -> None:
    path = copy.transcoders / "layer_1.safetensors"
    tensors = load_file(path)
    save_file({key: value for key, value in tensors.items() if key != "b_enc"}, path)
    message = one_sentence(copy.manifest)
    assert message.startswith(f"{path}: tensor 'b_enc' is missing, but (features,) is expected; ")


@DAMAGES
def test_configuration(copy: Checkpoint, damage: Damage) -> None:
    manifest = copy.manifest()
    path = copy.base / "config.json"
    harm(path, damage)
    assert_says_damaged(copy.manifest, path)
    assert_says_damaged(lambda: load_causal_lm(manifest, BASE), path)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model_type": "nope"}, "nope"),
        ({"model_type": None}, "model_type"),
        ({"rope_scaling": {"rope_type": "llama3"}}, "original_max_position_embeddings"),
    ],
)
def test_configuration_of_no_model(copy: Checkpoint, changes: dict[str, object], says: str) -> None:
    path = copy.base / "config.json"
    rewrite(path, **changes)
    message = one_sentence(copy.manifest)
    assert message.startswith(f"{path} is no model's configuration (")
    assert says in message


@DAMAGES
def test_weights(copy: Checkpoint, damage: Damage) -> None:
    path = copy.base / "model.safetensors"
    harm(path, damage)
    assert_says_damaged(lambda: load_causal_lm(copy.manifest(), BASE), path)


@DAMAGES
@pytest.mark.parametrize("name", ["model-00002-of-00002.safetensors", "model.safetensors.index.json"])
def test_weights_in_shards(copy: Checkpoint, name: str, damage: Damage) -> None:
    tensors = load_file(copy.base / "model.safetensors")
    (copy.base / "model.safetensors").unlink()
    shards = [f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    held = {key: shards[i % 2] for i, key in enumerate(sorted(tensors))}
    for shard in shards:
        of_shard = {key: value for key, value in tensors.items() if held[key] == shard}
        save_file(of_shard, copy.base / shard, metadata={"format": "pt"})
    index = {"metadata": {"total_size": 0}, "weight_map": held}
    (copy.base / "model.safetensors.index.json").write_text(json.dumps(index))
    load_causal_lm(copy.manifest(), BASE)
    harm(copy.base / name, damage)
    assert_says_damaged(lambda: load_causal_lm(copy.manifest(), BASE), copy.base / name)


def test_damaged_weights_that_are_not_read_are_no_obstacle(copy: Checkpoint) -> None:
    (copy.base / "other.safetensors").write_bytes(pointer(b""))
    load_causal_lm(copy.manifest(), BASE)


@DAMAGES
@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json"])
def test_tokenizer(copy: Checkpoint, name: str, damage: Damage) -> None:
    path = copy.base / name
    harm(path, damage)
    assert_says_damaged(lambda: load_tokenizer(copy.manifest()), path)


def test_tokenizer_of_another_form_or_none(copy: Checkpoint) -> None:
    path = copy.base / "tokenizer.json"
    path.write_text("{}")
    assert_says_damaged(lambda: load_tokenizer(copy.manifest()), path)
    path.unlink()
    with pytest.raises(UserError, match=r"base has no tokenizer\.json; is it the right folder"):
        load_tokenizer(copy.manifest())


@pytest.mark.parametrize(
    "changes",
    [
        {"eos_token": True},
        {"tokenizer_class": "Nope"},
        {"tokenizer_class": [1]},
        {"added_tokens_decoder": [1]},
    ],
    ids=str,
)
def test_tokenizer_configuration_of_another_form(copy: Checkpoint, changes: dict[str, object]) -> None:
    rewrite(copy.base / "tokenizer_config.json", **changes)
    message = one_sentence(lambda: load_tokenizer(copy.manifest()))
    assert message.startswith(f"The tokenizer in {copy.base} cannot be read (")


def test_other_errors_of_libraries_pass_unchanged(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    bug = RuntimeError("a bug")

    def fail(_: Path) -> None:
        raise bug

    monkeypatch.setattr(AutoTokenizer, "from_pretrained", fail)
    with pytest.raises(RuntimeError) as caught:
        load_tokenizer(checkpoint.manifest())
    assert caught.value is bug
