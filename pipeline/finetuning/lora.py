"""A fresh LoRA adapter on a model (PEFT), and its folder on disk."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn
from transformers import PreTrainedModel

from store.base.errors import UserError
from store.base.parsing import quoted

CONFIG: Final = "adapter_config.json"
WEIGHTS: Final = "adapter_model.safetensors"


@dataclass(frozen=True, kw_only=True)
class LoraSettings:
    """Where an adapter is put, and how large it is.

    Attributes
    ----------
    targets
        Last parts of the names of linear modules, ``down_proj`` say.
    layers
        Which layers get one; None: all.
    rank, alpha, rslora
        What it adds is scaled by ``alpha / rank``, or with `rslora` by ``alpha / sqrt(rank)``.
    seed
        Fixes the fresh weights.
    """

    targets: Sequence[str]
    layers: Sequence[int] | None
    rank: int
    alpha: float
    rslora: bool = False
    seed: int


def attach(settings: LoraSettings, model: PreTrainedModel) -> PeftModel:
    """Put a fresh adapter, fixed by `settings.seed` alone, on `model` (which it modifies)."""
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=settings.rank,
        lora_alpha=settings.alpha,  # type: ignore[arg-type]  # PEFT only divides it
        lora_dropout=0.0,
        bias="none",
        use_rslora=settings.rslora,
        target_modules=list(settings.targets),
        layers_to_transform=None if settings.layers is None else list(settings.layers),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        adapted: PeftModel = get_peft_model(model, config)
    return adapted


def require_targets(name: str, settings: LoraSettings, model: PreTrainedModel) -> None:
    """Refuse targets and layers that the model does not have: PEFT skips those, and trains the rest.

    Parameters
    ----------
    name
        Of the finetune, for errors.
    settings, model
        As for `attach`.

    Raises
    ------
    UserError
        The model has no such layer, or no linear module of that name in its layers.
    """
    n_layers = model.config.num_hidden_layers
    beyond = [layer for layer in settings.layers or () if layer >= n_layers]
    if beyond:
        raise UserError(
            f"params.yaml: finetunes.{name}.layers names layer {beyond[0]}, but the model's are 0 to "
            f"{n_layers - 1}."
        )
    names = {
        path.rpartition(".")[2]
        for path, module in model.named_modules()
        if isinstance(module, nn.Linear) and ".layers." in path
    }
    for target in settings.targets:
        if target not in names:
            raise UserError(
                f"params.yaml: finetunes.{name}.targets names {quoted(target)}, but the linear modules of "
                f"the model's layers are {', '.join(sorted(names))}."
            )


def save_adapter(adapted: PeftModel, folder: Path, *, base: str) -> None:
    """Write a PEFT folder that declares `base` as its base model.

    PEFT writes sets in the order of the process's hash seed; sorting keeps the folder
    byte-stable.
    """
    adapted.peft_config["default"].base_model_name_or_path = base
    adapted.save_pretrained(str(folder), save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # an empty model card
    path = folder / CONFIG
    config = json.loads(path.read_text(encoding="utf-8"))
    config["target_modules"] = sorted(config["target_modules"])
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
