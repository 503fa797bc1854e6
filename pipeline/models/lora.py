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
from typing import Annotated, Final, TypeVar

import torch
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from safetensors import safe_open

from pipeline.models.files import read_mapping, require_file, require_form
from pipeline.models.headers import read_header
from store.base.errors import UserError
from store.base.parsing import one_line, quoted

_Number = TypeVar("_Number", int, float)
ADAPTER_CONFIG: Final = "adapter_config.json"
_FILE: Final = "adapter_model.safetensors"
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


def _is_pattern(text: str) -> str:
    try:
        re.compile(_pattern(text))
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{quoted(text)} is no regular expression ({one_line(error)})") from error
    return text


Pattern = Annotated[str, AfterValidator(_is_pattern)]
Rank = Annotated[int, Field(ge=1, le=65_536)]
Alpha = Annotated[float, Field(ge=-1e9, le=1e9)]


class AdapterForm(BaseModel):
    """An ``adapter_config.json`` of a plain LoRA, as far as it determines the weights."""

    model_config = ConfigDict(allow_inf_nan=False)

    r: Rank
    lora_alpha: Alpha
    use_rslora: bool | None = None
    rank_pattern: dict[Pattern, Rank] | None = None
    alpha_pattern: dict[Pattern, Alpha] | None = None
    base_model_name_or_path: str | None = None
    revision: str | None = None


@dataclass(frozen=True, kw_only=True)
class AdapterConfig:
    """What an ``adapter_config.json`` says, as far as it determines the weights.

    Attributes
    ----------
    folder
        Where it was read.
    base_model, base_revision
        The base model that the adapter declares, and its revision; or None.
    rank, alpha, rank_stabilised
        LoRA rank, alpha, and whether scaling is ``alpha / sqrt(rank)``.
    rank_pattern, alpha_pattern
        Exceptions by module name (a regular expression for its end).
    """

    folder: Path
    base_model: str | None
    base_revision: str | None
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
    path = require_file(folder, ADAPTER_CONFIG, "adapter")
    config = read_mapping(path)
    if config.get("peft_type") != "LORA":
        raise UserError(
            f"{path}: peft_type {quoted(config.get('peft_type'))} is not supported, only LORA is."
        )
    for option in _REFUSED:
        if config.get(option):
            raise UserError(
                f"{path}: {option} is not supported; only plain LoRA on linear layers is, "
                "so merge this adapter into a copy of the model and use that as the model."
            )
    if config.get("bias", "none") != "none":
        raise UserError(f"{path}: bias {quoted(config['bias'])} is not supported, only 'none' is.")
    if config.get("init_lora_weights", True) not in _PLAIN_INITIALISATIONS:
        raise UserError(
            f"{path}: init_lora_weights {quoted(config['init_lora_weights'])} changes the base weights, "
            "too; convert the adapter to plain LoRA first (PEFT's save_pretrained can)."
        )
    form = require_form(path, config, AdapterForm)
    return AdapterConfig(
        folder=folder,
        base_model=form.base_model_name_or_path,
        base_revision=form.revision,
        rank=form.r,
        alpha=form.lora_alpha,
        rank_stabilised=bool(form.use_rslora),
        rank_pattern=form.rank_pattern or {},
        alpha_pattern=form.alpha_pattern or {},
    )


def read_shapes(config: AdapterConfig) -> dict[str, tuple[int, int]]:
    """Shape (out, in) of what is added to the weight of each module; nothing is loaded.

    Raises
    ------
    UserError
        The file is missing, damaged or empty; or a tensor is neither ``lora_A`` nor ``lora_B``,
        lacks its other half, or is not of the rank that the configuration says.
    """
    path = require_file(config.folder, _FILE, "adapter")
    halves: dict[str, dict[str, tuple[int, ...]]] = {}
    for key, shape in read_header(path).shapes.items():
        module, _, half = key.removesuffix(".weight").removeprefix(_PREFIX).rpartition(".")
        if key not in {_key(module, "lora_A"), _key(module, "lora_B")}:
            raise UserError(
                f"{path}: tensor {one_line(key)} is no plain LoRA weight, which is all that is supported; "
                "merge this adapter into a copy of the model and use that as the model."
            )
        halves.setdefault(module, {})[half] = shape
    if not halves:
        raise UserError(f"{path} holds no tensor, so it changes nothing; save the adapter again with PEFT.")
    shapes = {}
    for module, present in sorted(halves.items()):
        if len(present) != 2:
            raise UserError(
                f"{path}: module {quoted(module)} has only {min(present)}; the file is incomplete, copy or "
                "download it again."
            )
        down, up = present["lora_A"], present["lora_B"]
        declared = _matching(config.rank_pattern, module, config.rank)
        if len(down) != 2 or len(up) != 2 or down[0] != declared or up[1] != declared:
            raise UserError(
                f"{path}: module {quoted(module)} has shapes {up} and {down}, but adapter_config.json says "
                f"rank {declared}; copy or download both again."
            )
        shapes[module] = (up[0], down[1])
    return shapes


def require_fitting_shape(
    adapter: str, module: str, shape: tuple[int, ...], weight: tuple[int, ...] | None, model: str
) -> None:
    """Refuse an adapter of another model.

    Parameters
    ----------
    adapter
        What the adapter is called in errors.
    module, shape
        What it changes, and the shape (out, in) of that change.
    weight
        Shape of the module's weight; None: there is no such module.
    model
        What the model is called in errors.

    Raises
    ------
    UserError
        They differ.
    """
    if shape != weight:
        there = "no such module" if weight is None else weight
        raise UserError(
            f"The adapter {adapter} changes {one_line(module)} by a {shape} matrix, but the model "
            f"{model} has {there}."
        )


def read_factors(config: AdapterConfig) -> dict[str, LoraFactors]:
    """Both halves of every target module.

    Returns
    -------
    dict
        By module name.

    Raises
    ------
    UserError
        As `read_shapes`; or a weight is not finite.
    """
    path = config.folder / _FILE
    factors: dict[str, LoraFactors] = {}
    shapes = read_shapes(config)
    with safe_open(path, framework="pt") as file:
        for module in shapes:
            down = file.get_tensor(_key(module, "lora_A")).float()
            up = file.get_tensor(_key(module, "lora_B")).float()
            if not (torch.isfinite(down).all() and torch.isfinite(up).all()):
                raise UserError(
                    f"{path}: module {module} holds NaN or infinity; it was not trained well, or is damaged."
                )
            factors[module] = LoraFactors(down=down, up=up, scaling=config.scaling(module))
    return factors


def weight_norm(factors: Mapping[str, LoraFactors]) -> float:
    """Frobenius norm of all that an adapter adds to the weights at scale 1, over its modules.

    No matrix of a weight's size is made: ``|B A|^2 = <B^T B, A A^T>``, in float64.
    """
    total = 0.0
    for one in factors.values():
        up, down = one.up.double(), one.down.double()
        total += one.scaling**2 * float(((up.T @ up) * (down @ down.T)).sum())
    return math.sqrt(max(total, 0.0))


def _matching(pattern: Mapping[str, _Number], module: str, default: _Number) -> _Number:
    for key, value in pattern.items():
        if re.match(_pattern(key), module):
            return value
    return default


def _pattern(key: str) -> str:
    return rf"(.*\.)?({key})$"  # as peft.utils.other.get_pattern_key has it


def _key(module: str, half: str) -> str:
    return f"{_PREFIX}{module}.{half}.weight"
