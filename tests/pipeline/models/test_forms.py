"""A folder whose files contradict each other is told by its headers, before a weight is loaded."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from store.base.errors import UserError
from tests.support.builders import Checkpoint


@pytest.fixture(autouse=True)
def no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that is told here may need a weight."""

    def load(*_: object, **__: object) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr("transformers.AutoModelForCausalLM.from_pretrained", load)


def message_of(copy: Checkpoint) -> str:
    with pytest.raises(UserError) as caught:
        copy.manifest()
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith((".", "?"))
    assert len(message) < 1000
    return message


Tensors = dict[str, torch.Tensor]


def change(path: Path, how: Callable[[Tensors], Tensors]) -> Path:
    tensors = how(load_file(path))
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, {"format": "pt"})
    return path


def rewrite(path: Path, **changes: Any) -> Path:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return path


@pytest.mark.parametrize(
    ("name", "how", "says"),
    [
        ("W_enc", lambda t: t[:-1], "has shape (63, 32), but (64, 32) is expected"),
        ("W_dec", lambda t: None, "is missing, but (64, 32) is expected"),
        ("W_dec", lambda t: t.T, "has shape (32, 64), but (64, 32) is expected"),
        ("b_enc", lambda t: t[None], "has shape (1, 64), but (features,) is expected"),
        ("b_dec", lambda t: None, "is missing, but (width,) is expected"),
        ("W_enc", lambda t: t.to(torch.int32), "holds I32"),
        ("activation_function.threshold", lambda t: t[:-1], "has shape (63,), but (64,) is expected"),
        ("activation_function.threshold", lambda t: None, "is missing, but there in layer_0.safetensors"),
        ("W_skip", lambda t: torch.zeros(32, 32), "is there, but missing in layer_0.safetensors"),
        ("W_skip", lambda t: torch.zeros(32, 31), "has shape (32, 31), but (32, 32) is expected"),
        ("k", lambda t: torch.tensor(6.0), "is not known here"),
        ("log_thresholds", lambda t: torch.zeros(64), "is not known here"),
    ],
)
def test_transcoders(copy: Checkpoint, name: str, how: Callable[[Any], Any], says: str) -> None:
    def harm(tensors: Tensors) -> Tensors:
        tensor = how(tensors.get(name))
        return {
            **{key: value for key, value in tensors.items() if key != name},
            **({} if tensor is None else {name: tensor}),
        }

    path = change(copy.transcoders / "layer_1.safetensors", harm)
    message = message_of(copy)
    assert message.startswith(f"{path}: tensor '{name}' ")
    assert says in message


def test_transcoders_whose_layers_differ(copy: Checkpoint) -> None:
    path = change(
        copy.transcoders / "layer_2.safetensors",
        lambda tensors: {key: tensor if key == "b_dec" else tensor[:40] for key, tensor in tensors.items()},
    )
    message = message_of(copy)
    assert message.startswith(f"{path}: tensor 'b_enc' has shape (40,), but (64,) is expected: layer_0")


@pytest.mark.parametrize("listed", [[], [5], "layer_0.safetensors", ["x" * 300 + ".safetensors"]])
def test_transcoders_listed_wrongly(copy: Checkpoint, listed: object) -> None:
    path = copy.transcoders / "config.yaml"
    kept = [line for line in path.read_text().splitlines() if not line.startswith(("transcoders", "- "))]
    path.write_text("\n".join([*kept, f"transcoders: {json.dumps(listed)}\n"]))
    assert "transcoders" in message_of(copy)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"hidden_size": 64}, "has shape (320, 32), but (320, 64) is expected"),
        ({"intermediate_size": 65}, "has shape (64, 32), but (65, 32) is expected"),
        ({"vocab_size": 319}, "has shape (320, 32), but (319, 32) is expected"),
        ({"num_hidden_layers": 2}, "tensor 'model.layers.2.input_layernorm.weight' has no place"),
        ({"num_hidden_layers": 4}, "tensor 'model.layers.3.self_attn.q_proj.weight' is missing"),
    ],
    ids=str,
)
def test_a_base_that_its_configuration_disagrees_with(
    copy: Checkpoint, changes: dict[str, object], says: str
) -> None:
    path = rewrite(copy.base / "config.json", **changes)
    message = message_of(copy)
    assert says in message
    assert str(path) in message


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("hidden_size", "x"),
        ("hidden_size", 0),
        ("hidden_size", 10**30),
        ("num_hidden_layers", 10**9),
        ("num_attention_heads", 0),
        ("num_key_value_heads", 3),
        ("rms_norm_eps", float("nan")),
        ("hidden_act", "nope"),
        ("hidden_act", 5),
        ("rope_theta", "x"),
        ("rope_scaling", [1]),
        ("architectures", "LlamaForCausalLM"),
        ("architectures", ["y" * 100_000]),
        ("tie_word_embeddings", "no"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_configuration_of_another_form(copy: Checkpoint, key: str, value: object) -> None:
    rewrite(copy.base / "config.json", **{key: value})
    message = message_of(copy)
    assert key in message or str(value)[2:9] in message


def test_a_configuration_of_two_minds(copy: Checkpoint) -> None:
    rewrite(copy.base / "config.json", model_type="qwen2")
    assert "do not belong together" in message_of(copy)


def test_a_base_without_a_weight(copy: Checkpoint) -> None:
    # transformers would make it up, with a warning.
    change(
        copy.base / "model.safetensors",
        lambda tensors: {name: tensor for name, tensor in tensors.items() if name[6:] != "norm.weight"},
    )
    message = message_of(copy)
    assert message.startswith(f"{copy.base}: tensor 'model.norm.weight' is missing, but (32,) is expected")


def test_names_without_what_stands_before_all_are_those(copy: Checkpoint) -> None:
    change(
        copy.base / "model.safetensors",
        lambda tensors: {name.removeprefix("model."): tensor for name, tensor in tensors.items()},
    )
    assert copy.manifest().model.n_layers == 3


def test_an_index_of_another_form(copy: Checkpoint) -> None:
    (copy.base / "model.safetensors").rename(copy.base / "moved.safetensors")
    index = copy.base / "model.safetensors.index.json"
    for listed in (None, [], {"x": 5}, {"x": "../base/moved.safetensors"}):
        index.write_text(json.dumps({"weight_map": listed}))
        assert message_of(copy).startswith(f"{index} is damaged")
    index.write_text(json.dumps({"weight_map": {"x": "gone.safetensors"}}))
    assert "has no gone.safetensors" in message_of(copy)
    index.unlink()
    assert "has neither model.safetensors nor model.safetensors.index.json" in message_of(copy)


def test_settings_of_generation(copy: Checkpoint) -> None:
    path = copy.base / "generation_config.json"
    path.write_text('{"max_new_tokens": "many"}')
    assert message_of(copy).startswith(f"{path} cannot be read (")


@pytest.mark.parametrize(
    ("how", "says"),
    [
        (lambda name, tensor: (name, tensor[:, :-1]), "has shapes"),
        (lambda name, tensor: (name.replace("layers.1", "layers.9"), tensor), "no such module"),
        (lambda name, tensor: (name.replace("down_proj", "up_proj"), tensor), "by a (32, 64) matrix"),
        (lambda name, tensor: (name.replace("lora_A", "lora_C"), tensor), "is no plain LoRA weight"),
    ],
)
def test_an_adapter_that_does_not_fit(
    copy: Checkpoint, how: Callable[[str, torch.Tensor], tuple[str, torch.Tensor]], says: str
) -> None:
    path = copy.adapter("narrow") / "adapter_model.safetensors"
    change(path, lambda tensors: dict(how(name, tensor) for name, tensor in tensors.items()))
    message = message_of(copy)
    assert says in message
    assert str(copy.adapter("narrow")) in message


def test_what_fits_needs_no_weight(checkpoint: Checkpoint) -> None:

    assert set(checkpoint.manifest().adapters) == {"general", "narrow"}
