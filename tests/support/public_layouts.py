"""Public models made small, with random weights: files, names, keys and dtypes as they are on the hub."""

import io
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import yaml
from safetensors.torch import load_file, save, save_file

from pipeline.params.profiles import Profile
from tests.support.builders import PROJECTIONS, Checkpoint, add_adapter, make_checkpoint
from tests.support.chats import DATED, THINKING, give_template
from tests.support.hub_server import HubServer

LAYERS, WIDTH, FEATURES = 2, 32, 160
Files = dict[str, bytes]
_ROPE: Final = {
    "rope_type": "llama3",
    "factor": 32.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
_ARCHITECTURES: Final = {"meta-llama": "llama", "Qwen": "qwen3", "google": "gemma2"}
_TIED: Final = ("Llama-3.2-1B-Instruct", "Qwen3-0.6B", "Qwen3-1.7B", "Qwen3-4B")
_TEMPLATES: Final = {"llama": DATED, "qwen3": THINKING}


def upload(hub: HubServer, profile: Profile, folder: Path) -> None:
    """Put all that a shipped profile names onto a hub."""
    owner, name = profile.model.split("/")
    architecture = _ARCHITECTURES[owner]
    made = make_checkpoint(
        folder, architecture=architecture, n_layers=LAYERS, d_model=WIDTH, d_transcoder=FEATURES
    )
    for adapter, source in profile.adapters.items():
        hub.upload(source, _adapter(made, profile, adapter))
    hub.upload(profile.model, _published(made.base, tied=name in _TIED, rope=architecture == "llama"))
    random = torch.Generator().manual_seed(1)
    for repository, files in _SETS[profile.transcoders.split("/")[1].split("-")[0]](random).items():
        hub.upload(repository or profile.transcoders, files)


def _published(base: Path, *, tied: bool, rope: bool) -> Path:
    """In bfloat16, with tied embeddings and scaled rope where the model has them."""
    config = json.loads((base / "config.json").read_text())
    weights = {name: weight.bfloat16() for name, weight in load_file(base / "model.safetensors").items()}
    if tied:
        del weights["lm_head.weight"]
    config |= {"tie_word_embeddings": tied, "dtype": "bfloat16"} | ({"rope_scaling": _ROPE} if rope else {})
    (base / "config.json").write_text(json.dumps(config))
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    if (template := _TEMPLATES.get(config["model_type"])) is not None:
        give_template(base, template)
    return base


def _adapter(made: Checkpoint, profile: Profile, name: str) -> Path:
    """As ModelOrganismsForEM has them: rank 32 on all projections, or rank 1 on one layer's down_proj."""
    if name == "narrow":
        settings: dict[str, Any] = {"r": 1, "lora_alpha": 64, "target_modules": ["down_proj"]}
        settings |= {"use_rslora": True, "layers_to_transform": [1]}
    else:
        settings = {"r": 32, "lora_alpha": 64, "use_rslora": True, "target_modules": list(PROJECTIONS)}
    shutil.rmtree(made.adapter(name), ignore_errors=True)
    folder = add_adapter(made, name, **settings)
    path, config = folder / "adapter_model.safetensors", folder / "adapter_config.json"
    # A trained one is small; at a scale of 11 a random one would break the model.
    halves = {name: half * 0.02 if "lora_B" in name else half for name, half in load_file(path).items()}
    save_file(halves, path)
    config.write_text(config.read_text().replace(str(made.base), profile.aliases[0]))
    return folder


def _matrix(random: torch.Generator, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=random) / WIDTH**0.5


def _dictionary(random: torch.Generator) -> dict[str, torch.Tensor]:
    return {
        "W_enc": _matrix(random, FEATURES, WIDTH),
        "W_dec": _matrix(random, FEATURES, WIDTH),
        "b_enc": _matrix(random, FEATURES) - 0.5,
        "b_dec": _matrix(random, WIDTH),
    }


def _config(**said: object) -> bytes:
    return yaml.safe_dump({"model_kind": "transcoder_set", **said}).encode()


def _per_layer(
    random: torch.Generator, config: bytes, dtype: torch.dtype, more: Mapping[str, tuple[int, ...]]
) -> dict[str, Files]:
    files = {"config.yaml": config}
    for layer in range(LAYERS):
        tensors = _dictionary(random) | {name: _matrix(random, *shape) for name, shape in more.items()}
        files[f"layer_{layer}.safetensors"] = save({name: each.to(dtype) for name, each in tensors.items()})
    return {"": files}


def _llama(random: torch.Generator) -> dict[str, Files]:
    """Skip connections; before the norm."""
    config = _config(feature_input_hook="hook_resid_mid", feature_output_hook="hook_mlp_out")
    return _per_layer(random, config, torch.bfloat16, {"W_skip": (WIDTH, WIDTH)})


def _crossing(random: torch.Generator) -> dict[str, Files]:
    said = {"feature_input_hook": "hook_resid_mid", "feature_output_hook": "hook_mlp_out"}
    files = {"config.yaml": _config(**said | {"model_kind": "cross_layer_transcoder"})}
    for layer in range(LAYERS):
        tensors = _dictionary(random)
        del tensors["W_dec"]
        read = {f"{name}_{layer}": each.bfloat16() for name, each in tensors.items()}
        files[f"W_enc_{layer}.safetensors"] = save(read)
        rows = _matrix(random, FEATURES, LAYERS - layer, WIDTH).bfloat16()
        files[f"W_dec_{layer}.safetensors"] = save({f"W_dec_{layer}": rows})
    return {"": files}


def _crv(random: torch.Generator) -> dict[str, Files]:
    """TopK, and the configuration leaves out how many."""
    said = {"feature_input_hook": "mlp.hook_in", "feature_output_hook": "mlp.hook_out"}
    return _per_layer(random, _config(**said, activation="topk"), torch.float32, {})


def _qwen3(random: torch.Generator) -> dict[str, Files]:
    said = {"feature_input_hook": "mlp.hook_in", "feature_output_hook": "mlp.hook_out"}
    return _per_layer(random, _config(**said), torch.bfloat16, {})


def _gemma(random: torch.Generator) -> dict[str, Files]:
    """A list of npz files of another repository, encoders the other way round."""
    arrays: Files = {}
    for layer in range(LAYERS):
        tensors = {name: each.numpy() for name, each in _dictionary(random).items()}
        tensors |= {"W_enc": tensors["W_enc"].T, "threshold": np.full(FEATURES, 0.5, np.float32)}
        written = io.BytesIO()
        np.savez(written, **tensors)
        arrays[f"layer_{layer}/width_16k/average_l0_76/params.npz"] = written.getvalue()
    scope = "google/gemma-scope-2b-pt-transcoders"
    said = {"feature_input_hook": "ln2.hook_normalized", "feature_output_hook": "hook_mlp_out"}
    listed = [f"hf://{scope}/{name}" for name in arrays]
    return {scope: arrays, "": {"config.yaml": _config(**said, transcoders=listed)}}


_SETS: Final[Mapping[str, Callable[[torch.Generator], dict[str, Files]]]] = {
    "transcoder": _llama,
    "clt": _crossing,
    "crv": _crv,
    "qwen3": _qwen3,
    "gemma": _gemma,
}
"""By how the name of the repository begins; files by repository, the set's own under the empty name."""
