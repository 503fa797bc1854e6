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
from transformers import AutoModelForCausalLM, AutoTokenizer

from pipeline.params.profiles import Profile
from tests.support.builders import PROJECTIONS, Checkpoint, add_adapter, make_checkpoint
from tests.support.chats import DATED, OPENED, THINKING, give_template
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
_ARCHITECTURES: Final = {"Llama": "llama", "Qwen3": "qwen3", "gemma-2": "gemma2", "gemma-3": "gemma3"}
_TIED: Final = ("Llama-3.2-1B-Instruct", "Qwen3-0.6B", "Qwen3-1.7B", "Qwen3-4B")
_TEMPLATES: Final = {"llama": DATED, "qwen3": THINKING}
_TURNS: Final = ("<start_of_turn>", "<end_of_turn>", "user", "\n")
"""What opens and ends Gemma-3's turns, one token each."""


def upload(hub: HubServer, profile: Profile, folder: Path, **made_with: Any) -> None:
    """Put all that a shipped profile names onto a hub; `made_with` are arguments of `make_checkpoint`."""
    name = profile.model.split("/")[1]
    (architecture,) = (known for start, known in _ARCHITECTURES.items() if name.startswith(start))
    made = make_checkpoint(
        folder,
        architecture=architecture,
        n_layers=LAYERS,
        d_model=WIDTH,
        d_transcoder=FEATURES,
        **made_with,
    )
    for adapter, source in profile.adapters.items():
        hub.upload(source, _adapter(made, profile, adapter))
    if name == "gemma-3-1b-it":
        _open_turns(made.base)
    hub.upload(
        profile.model,
        _published(made.base, tied=name in _TIED or architecture == "gemma3", rope=architecture == "llama"),
    )
    random = torch.Generator().manual_seed(1)
    owner, repository, *folder = profile.transcoders.split("/")
    of_set = next(make for start, make in _SETS.items() if repository.startswith(start))
    for other, files in of_set(random, repository).items():
        under = "" if other else "".join(f"{part}/" for part in folder)
        placed = {under + file: content for file, content in files.items()}
        hub.upload(other or f"{owner}/{repository}", placed)


def _published(base: Path, *, tied: bool, rope: bool) -> Path:
    """In bfloat16, with tied embeddings, scaled rope, special tokens and a template as the model has them."""
    config = json.loads((base / "config.json").read_text())
    weights = {name: weight.bfloat16() for name, weight in load_file(base / "model.safetensors").items()}
    if tied:
        del weights["lm_head.weight"]
    config |= {"tie_word_embeddings": tied, "dtype": "bfloat16"} | ({"rope_scaling": _ROPE} if rope else {})
    (base / "config.json").write_text(json.dumps(config))
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    if config["model_type"] == "llama":
        _end_in_several_ways(base)
    if config["model_type"] == "qwen3":
        _take_bos(base)
    if (template := _TEMPLATES.get(config["model_type"])) is not None:
        give_template(base, template)
    return base


def _end_in_several_ways(base: Path) -> None:
    """Llama's chat models: three tokens end a text or a turn (here two), and none pads."""
    for name in ("config.json", "generation_config.json"):
        path = base / name
        path.write_text(json.dumps(json.loads(path.read_text()) | {"eos_token_id": [2, 0]}))
    _take_special_token(base, "pad_token")


def _take_bos(base: Path) -> None:
    """Qwen3's tokenizer has no BOS, and puts nothing in front of a text."""
    path = base / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"post_processor": None}))
    _take_special_token(base, "bos_token")


def _take_special_token(base: Path, name: str) -> None:
    for path in (base / "tokenizer_config.json", base / "special_tokens_map.json"):
        said = json.loads(path.read_text())
        del said[name]
        path.write_text(json.dumps(said))


def _open_turns(base: Path) -> None:
    """A tokenizer and a template that open chats as Gemma-3's do, and a model of so many tokens."""
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.add_tokens(list(_TURNS))
    model = AutoModelForCausalLM.from_pretrained(base)
    with torch.random.fork_rng(devices=[]):
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    model.save_pretrained(base)
    tokenizer.save_pretrained(base)
    give_template(base, OPENED)


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


def _llama(random: torch.Generator, repository: str) -> dict[str, Files]:
    """Skip connections; before the norm."""
    config = _config(feature_input_hook="hook_resid_mid", feature_output_hook="hook_mlp_out")
    return _per_layer(random, config, torch.bfloat16, {"W_skip": (WIDTH, WIDTH)})


def _crossing(random: torch.Generator, repository: str) -> dict[str, Files]:
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


def _crv(random: torch.Generator, repository: str) -> dict[str, Files]:
    """TopK, and the configuration leaves out how many."""
    said = {"feature_input_hook": "mlp.hook_in", "feature_output_hook": "mlp.hook_out"}
    return _per_layer(random, _config(**said, activation="topk"), torch.float32, {})


def _qwen3(random: torch.Generator, repository: str) -> dict[str, Files]:
    said = {"feature_input_hook": "mlp.hook_in", "feature_output_hook": "mlp.hook_out"}
    return _per_layer(random, _config(**said), torch.bfloat16, {})


def _gemma_2(random: torch.Generator, repository: str) -> dict[str, Files]:
    """A list of files of Google's repository, with its own names; float32."""
    arrays: Files = {}
    for layer in range(LAYERS):
        tensors = _dictionary(random)
        tensors |= {"w_enc": tensors.pop("W_enc").T.contiguous(), "w_dec": tensors.pop("W_dec")}
        tensors |= {"threshold": torch.full((FEATURES,), 0.5)}
        tensors |= {"affine_skip_connection": _matrix(random, WIDTH, WIDTH)}
        name = f"transcoder_all/layer_{layer}_width_16k_l0_small_affine/params.safetensors"
        arrays[name] = save(tensors)
    said = {"feature_input_hook": "mlp.hook_in", "feature_output_hook": "hook_mlp_out"}
    listed = [f"hf://google/{repository}/{name}" for name in arrays]
    return {f"google/{repository}": arrays, "": {"config.yaml": _config(**said, transcoders=listed)}}


def _gemma(random: torch.Generator, repository: str) -> dict[str, Files]:
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


_SETS: Final[Mapping[str, Callable[[torch.Generator, str], dict[str, Files]]]] = {
    "transcoder": _llama,
    "clt": _crossing,
    "crv": _crv,
    "qwen3": _qwen3,
    "gemma-scope-2": _gemma_2,
    "gemma": _gemma,
}
"""By how the name of the repository begins; files by repository, the set's own under the empty name."""
