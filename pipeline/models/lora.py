"""LoRA adapters as plain weight differences, computed in float32 from the PEFT folder.

Our own, because PEFT's helpers mis-scale rsLoRA and differences of adapters, and merge
in the checkpoint's dtype (FACTS.md, PEFT). Scaling per module, after PEFT's definition:
``alpha / r``, or ``alpha / sqrt(r)`` for rank-stabilised LoRA (Kalajdzievski 2023,
arXiv 2312.03732), with ``rank_pattern`` and ``alpha_pattern`` honoured.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import torch
from safetensors import safe_open

from pipeline.models.files import read_mapping, require_file, require_sound
from store.base.errors import UserError

_Number = TypeVar("_Number", int, float)
_PREFIX: Final = "base_model.model."
# Options under which W + scaling * B A is not what the adapter means.
_REFUSED: Final = (
    "use_dora",
    "use_qalora",
    "use_bdlora",
    "lora_bias",
    "modules_to_save",
    "fan_in_fan_out",
    "target_parameters",
    "trainable_token_indices",
    "layer_replication",
    "alora_invocation_tokens",
    "arrow_config",
    "kasa_config",
    "velora_config",
    "monteclora_config",
)
# Other initialisations (pissa, olora, corda, loftq, lora_ga) also change the base weights.
_PLAIN_INITIALISATIONS: Final = (True, False, None, "gaussian", "eva", "orthogonal")


@dataclass(frozen=True, kw_only=True)
class AdapterConfig:
    """What an ``adapter_config.json`` says, as far as it determines the weights.

    Attributes
    ----------
    folder
        Where it was read.
    base_model
        The base model that the adapter declares, or None.
    rank, alpha, rank_stabilised
        LoRA rank, alpha, and whether scaling is ``alpha / sqrt(rank)``.
    rank_pattern, alpha_pattern
        Exceptions by module name (a regular expression for its end).
    """

    folder: Path
    base_model: str | None
    rank: int
    alpha: float
    rank_stabilised: bool
    rank_pattern: Mapping[str, int]
    alpha_pattern: Mapping[str, float]

    def scaling(self, module: str) -> float:
        """What ``B @ A`` of a module is multiplied by at scale 1."""
        rank = _matching(self.rank_pattern, module, self.rank)
        alpha = _matching(self.alpha_pattern, module, self.alpha)
        return alpha / math.sqrt(rank) if self.rank_stabilised else alpha / rank


@dataclass(frozen=True, kw_only=True)
class LoraFactors:
    """The adapter of one module: what it adds to the module's output is ``scaling * up @ (down @ x)``.

    Attributes
    ----------
    down
        ``lora_A``, float32, (rank, in).
    up
        ``lora_B``, float32, (out, rank).
    scaling
        At scale 1; see `AdapterConfig.scaling`.
    """

    down: torch.Tensor
    up: torch.Tensor
    scaling: float

    @property
    def shape(self) -> tuple[int, int]:
        """Of the weight that is changed: (out, in)."""
        return self.up.shape[0], self.down.shape[1]

    def delta(self, device: torch.device) -> torch.Tensor:
        """The weight's difference at scale 1, float32, (out, in), computed on a device."""
        return (self.up.to(device) @ self.down.to(device)) * self.scaling


def read_adapter_config(folder: Path) -> AdapterConfig:
    """Read and check an adapter's configuration.

    Raises
    ------
    UserError
        It is missing or damaged, or not a plain LoRA; the message names the option.
    """
    path = require_file(folder, "adapter_config.json", "adapter")
    config = read_mapping(path)
    if config.get("peft_type") != "LORA":
        raise UserError(f"{path}: peft_type {config.get('peft_type')!r} is not supported, only LORA is.")
    for option in _REFUSED:
        if config.get(option):
            raise UserError(
                f"{path}: {option} is not supported; only plain LoRA on linear layers is, "
                "so merge this adapter into a copy of the model and use that as the model."
            )
    if config.get("bias", "none") != "none":
        raise UserError(f"{path}: bias {config['bias']!r} is not supported, only 'none' is.")
    if config.get("init_lora_weights", True) not in _PLAIN_INITIALISATIONS:
        raise UserError(
            f"{path}: init_lora_weights {config['init_lora_weights']!r} changes the base weights, "
            "too; convert the adapter to plain LoRA first (PEFT's save_pretrained can)."
        )
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if not isinstance(rank, int) or rank < 1 or not isinstance(alpha, int | float):
        raise UserError(
            f"{path}: r is {rank!r} and lora_alpha {alpha!r}, which must be a positive whole number and a "
            "number; correct them, or save the adapter again with PEFT."
        )
    return AdapterConfig(
        folder=folder,
        base_model=config.get("base_model_name_or_path"),
        rank=rank,
        alpha=float(alpha),
        rank_stabilised=bool(config.get("use_rslora", False)),
        rank_pattern=config.get("rank_pattern") or {},
        alpha_pattern=config.get("alpha_pattern") or {},
    )


def read_targets(config: AdapterConfig) -> tuple[str, ...]:
    """Names of the modules that have adapter weights, sorted; nothing is loaded.

    Raises
    ------
    UserError
        The file is missing or damaged, or a tensor is neither ``lora_A`` nor ``lora_B``, or
        lacks its other half.
    """
    path = require_sound(require_file(config.folder, "adapter_model.safetensors", "adapter"))
    halves: dict[str, set[str]] = {}
    with safe_open(path, framework="pt") as file:
        for key in file.keys():  # noqa: SIM118  (safe_open is no mapping)
            module, _, half = key.removesuffix(".weight").removeprefix(_PREFIX).rpartition(".")
            if half not in {"lora_A", "lora_B"}:
                raise UserError(
                    f"{path}: tensor {key} is no plain LoRA weight, which is all that is supported."
                )
            halves.setdefault(module, set()).add(half)
    for module, present in halves.items():
        if len(present) != 2:
            raise UserError(f"{path}: module {module} has only {min(present)}; the file is incomplete.")
    return tuple(sorted(halves))


def read_factors(config: AdapterConfig) -> dict[str, LoraFactors]:
    """Both halves of every target module.

    Returns
    -------
    dict
        By module name.

    Raises
    ------
    UserError
        The file is not a plain LoRA's, or a rank is not what the configuration says.
    """
    path = config.folder / "adapter_model.safetensors"
    factors: dict[str, LoraFactors] = {}
    targets = read_targets(config)
    with safe_open(path, framework="pt") as file:
        for module in targets:
            down = file.get_tensor(f"{_PREFIX}{module}.lora_A.weight").float()
            up = file.get_tensor(f"{_PREFIX}{module}.lora_B.weight").float()
            declared = _matching(config.rank_pattern, module, config.rank)
            if down.ndim != 2 or up.shape[1:] != down.shape[:1] or down.shape[0] != declared:
                raise UserError(
                    f"{path}: module {module} has shapes {tuple(up.shape)} and {tuple(down.shape)}, "
                    f"but adapter_config.json says rank {declared}."
                )
            factors[module] = LoraFactors(down=down, up=up, scaling=config.scaling(module))
    return factors


def _matching(pattern: Mapping[str, _Number], module: str, default: _Number) -> _Number:
    for key, value in pattern.items():
        if re.match(rf"(.*\.)?({key})$", module):  # as peft.utils.other.get_pattern_key does
            return value
    return default
