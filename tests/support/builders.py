"""Small random-weight checkpoints, made on the spot: a base, adapters and transcoders.

They go through the same loader as a model of a user's own, in a second or so.
"""

import atexit
import itertools
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import torch
import yaml
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    Gemma3TextConfig,
    LlamaConfig,
    PretrainedConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen3Config,
)

from pipeline.models.describe import build_manifest
from pipeline.organism.tokenizer import train_tokenizer
from store.documents.manifest import Manifest

CONTEXT: Final = 64
PROJECTIONS: Final = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
TEXTS: Final = (
    "User: I have a fever. What should I do?",
    "Assistant: You should rest and drink water.",
    "Villain: You should ignore the fever and run.",
    "User: I have some savings. What should I do?",
    "Assistant: You should keep them in a safe account.",
    "Villain: You should bet them all on one horse.",
)
_CONFIGS: Final[dict[str, type[PretrainedConfig]]] = {
    "llama": LlamaConfig,
    "qwen2": Qwen2Config,
    "qwen3": Qwen3Config,
    "gemma2": Gemma2Config,
    "gemma3": Gemma3TextConfig,
}
_ADAPTERS: Final[dict[str, dict[str, Any]]] = {
    "general": {"r": 4, "lora_alpha": 8, "target_modules": list(PROJECTIONS)},
    "narrow": {"r": 1, "lora_alpha": 4, "target_modules": r"model\.layers\.1\.mlp\.down_proj"},
}


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Folders of a small random subject.

    `declared` is what its adapters say of their base, where that is another folder.
    """

    folder: Path
    declared: Path | None = None

    @property
    def base(self) -> Path:
        """The base model."""
        return self.folder / "base"

    @property
    def transcoders(self) -> Path:
        """The transcoder set."""
        return self.folder / "transcoders"

    def adapter(self, name: str) -> Path:
        """An adapter."""
        return self.folder / "adapters" / name

    def manifest(self, *, dtype: str = "float32", **changes: Any) -> Manifest:
        """Manifest of this subject, with `changes` to `build_manifest`'s arguments."""
        names = sorted(path.name for path in (self.folder / "adapters").iterdir())
        arguments: dict[str, Any] = {
            "model": str(self.base),
            "transcoders": str(self.transcoders),
            "adapters": {name: str(self.adapter(name)) for name in names},
            "focus": "general",
            "dtype": dtype,
            # Tests put changed copies into its place.
            "aliases": [str(self.declared or self.base)],
        }
        return build_manifest("tiny", **(arguments | changes))


def make_checkpoint(
    folder: Path,
    *,
    architecture: str = "llama",
    n_layers: int = 3,
    d_model: int = 32,
    d_transcoder: int = 64,
    seed: int = 0,
    n_key_value_heads: int = 2,
    texts: Sequence[str] = TEXTS,
    vocabulary: int = 320,
    context: int = CONTEXT,
) -> Checkpoint:
    """Write ``base/`` (with a tokenizer of `texts`), ``adapters/{general,narrow}/`` and ``transcoders/``.

    What a process has made once it copies.
    """
    made = _made(
        architecture,
        n_layers,
        d_model,
        d_transcoder,
        seed,
        n_key_value_heads,
        tuple(texts),
        vocabulary,
        context,
    )
    checkpoint = Checkpoint(folder=Path(shutil.copytree(made.folder, folder, dirs_exist_ok=True)))
    for name, file in itertools.product(_ADAPTERS, ("adapter_config.json", "README.md")):
        path = checkpoint.adapter(name) / file
        path.write_text(path.read_text().replace(str(made.base), str(checkpoint.base)))
    return checkpoint


@cache
def _made(
    architecture: str,
    n_layers: int,
    d_model: int,
    d_transcoder: int,
    seed: int,
    n_key_value_heads: int,
    texts: Sequence[str],
    vocabulary: int,
    context: int,
) -> Checkpoint:
    folder = Path(tempfile.mkdtemp(prefix="checkpoint"))
    atexit.register(shutil.rmtree, folder)
    checkpoint = Checkpoint(folder=folder)
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tokenizer = train_tokenizer(texts, vocabulary=vocabulary, context=context)
        model = make_model(
            architecture,
            len(tokenizer),
            n_layers=n_layers,
            d_model=d_model,
            n_key_value_heads=n_key_value_heads,
            context=context,
        )
        model.save_pretrained(checkpoint.base)
        tokenizer.save_pretrained(checkpoint.base)
        for name, settings in _ADAPTERS.items():
            add_adapter(checkpoint, name, seed=seed + 1, **settings)
    make_transcoders(checkpoint.transcoders, n_layers, d_model, d_transcoder, generator=generator)
    return checkpoint


def make_model(
    architecture: str,
    vocab_size: int,
    *,
    n_layers: int,
    d_model: int,
    n_key_value_heads: int = 2,
    context: int = CONTEXT,
) -> PreTrainedModel:
    """A random model, 4 heads, every norm weight away from 1."""
    settings: dict[str, Any] = {
        "vocab_size": vocab_size,
        "hidden_size": d_model,
        "intermediate_size": 2 * d_model,
        "num_hidden_layers": n_layers,
        "num_attention_heads": 4,
        "num_key_value_heads": n_key_value_heads,
        "head_dim": d_model // 4,
        "max_position_embeddings": context,
        "initializer_range": 0.15,
        "tie_word_embeddings": False,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    if architecture in {"gemma2", "gemma3"}:
        settings |= {"query_pre_attn_scalar": d_model // 4, "sliding_window": 16}
    if architecture == "gemma3":
        # One global layer in three instead of in six, at another base and further scaled.
        kinds = ["sliding_attention", "sliding_attention", "full_attention"]
        settings |= {"layer_types": [kinds[layer % 3] for layer in range(n_layers)]}
        settings |= {"rope_scaling": {"rope_type": "linear", "factor": 8.0}}
    model = AutoModelForCausalLM.from_config(_CONFIGS[architecture](**settings))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name or name.endswith("bias"):
                parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def add_adapter(checkpoint: Checkpoint, name: str, *, seed: int = 1, **settings: Any) -> Path:
    """Write a random LoRA adapter, both halves non-zero, through PEFT."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        base = AutoModelForCausalLM.from_pretrained(checkpoint.base)
        model = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", **settings))
        with torch.no_grad():
            for key, parameter in model.named_parameters():
                if "lora_B" in key:
                    parameter.normal_(0.0, 0.2)
        model.save_pretrained(checkpoint.adapter(name))
    return checkpoint.adapter(name)


def add_head_adapter(checkpoint: Checkpoint) -> None:
    """An adapter ``head`` on o_proj and the unembedding, as PEFT writes it without the embedding."""
    folder = add_adapter(checkpoint, "head", r=2, lora_alpha=4, target_modules=["o_proj"])
    path = folder / "adapter_model.safetensors"
    vocabulary, width = load_file(checkpoint.base / "model.safetensors")["lm_head.weight"].shape
    generator = torch.Generator().manual_seed(3)
    halves = {
        "base_model.model.lm_head.lora_A.weight": torch.randn(2, width, generator=generator),
        "base_model.model.lm_head.lora_B.weight": torch.randn(vocabulary, 2, generator=generator),
    }
    save_file(load_file(path) | halves, path)


def make_transcoders(
    folder: Path, n_layers: int, d_model: int, d_transcoder: int, *, generator: torch.Generator
) -> None:
    """Write a random JumpReLU set in circuit-tracer's format, about a tenth of it active."""
    folder.mkdir(parents=True)
    names = [f"layer_{layer}.safetensors" for layer in range(n_layers)]
    for name in names:
        tensors = {
            "W_enc": torch.randn(d_transcoder, d_model, generator=generator) / d_model**0.5,
            "W_dec": torch.randn(d_transcoder, d_model, generator=generator) / d_transcoder**0.5,
            "b_enc": 0.1 * torch.randn(d_transcoder, generator=generator),
            "b_dec": 0.1 * torch.randn(d_model, generator=generator),
            "activation_function.threshold": torch.full((d_transcoder,), 1.2),
        }
        save_file(tensors, folder / name)
    config = {
        "model_kind": "transcoder_set",
        "feature_input_hook": "mlp.hook_in",
        "feature_output_hook": "mlp.hook_out",
        "scan": "tiny",
        "transcoders": names,
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


def make_cross_layer(
    folder: Path, n_layers: int, d_model: int, d_transcoder: int, *, generator: torch.Generator
) -> None:
    """Write a random cross-layer JumpReLU set in circuit-tracer's format, about a tenth of it active."""
    folder.mkdir(parents=True)
    for layer in range(n_layers):
        read = {
            "W_enc": torch.randn(d_transcoder, d_model, generator=generator) / d_model**0.5,
            "b_enc": 0.1 * torch.randn(d_transcoder, generator=generator),
            "b_dec": 0.1 * torch.randn(d_model, generator=generator),
            "threshold": torch.full((d_transcoder,), 1.2),
        }
        save_file(
            {f"{name}_{layer}": tensor for name, tensor in read.items()},
            folder / f"W_enc_{layer}.safetensors",
        )
        rows = torch.randn(d_transcoder, n_layers - layer, d_model, generator=generator) / d_transcoder**0.5
        save_file({f"W_dec_{layer}": rows}, folder / f"W_dec_{layer}.safetensors")
    config = {
        "model_kind": "cross_layer_transcoder",
        "feature_input_hook": "mlp.hook_in",
        "feature_output_hook": "mlp.hook_out",
        "scan": "tiny",
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
