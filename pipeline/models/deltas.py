"""What an adapter changes of the base's weights: LoRA, or a whole model of the same form beside it.

A merged checkpoint is a model's folder without ``adapter_config.json``. Each weight that differs from the
base's is a change of its own: in exact low rank where the difference has one (a merged LoRA that was saved
in float32), else the difference itself, read when it is asked for.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from safetensors import safe_open

from pipeline.models.base_forms import CONFIG, weight_files
from pipeline.models.files import folder_of, names_in
from pipeline.models.lora import ADAPTER_CONFIG, LoraFactors, read_adapter_config, read_factors, weight_norm
from store.base.errors import UserError
from store.base.parsing import quoted
from store.documents.manifest import Source

_WEIGHT: Final = ".weight"
MAX_RANK: Final = 128
"""Differences of a higher rank are taken as they are; published adapters have at most 64."""
_OVERSAMPLED: Final = 8
"""Columns of the sketch beyond that rank (Halko, Martinsson & Tropp 2011, arXiv 0909.4061)."""
_ROUNDING: Final = 16 * torch.finfo(torch.float32).eps
"""Of the weight's norm: what merging in float32 loses, and no more."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A change of no low rank: one model's weight minus another's, which are read when it is asked for.

    Attributes
    ----------
    name
        Of the tensor.
    before, after
        The files that hold it.
    shape
        Of the weight: (out, in), or (width,) of a norm.
    """

    name: str
    before: Path
    after: Path
    shape: tuple[int, ...]

    def delta(self, device: torch.device) -> torch.Tensor:
        """The difference at scale 1, float32, on a device."""
        return (_tensor(self.after, self.name) - _tensor(self.before, self.name)).to(device)


Delta = LoraFactors | Difference


def is_merged(source: Source) -> bool:
    """Whether an adapter is a whole model; no weights are fetched.

    Raises
    ------
    UserError
        As `pipeline.models.files.names_in`.
    """
    names = names_in(source, "adapter")
    return ADAPTER_CONFIG not in names and CONFIG in names


def changed_modules(adapter: Source, base: Source) -> dict[str, tuple[int, ...]]:
    """Modules whose weight differs between a merged checkpoint and the base, and its shape.

    Raises
    ------
    UserError
        Both have other tensors, a bias differs, or nothing does.
    """
    folder = folder_of(adapter, "adapter")
    before, after = weight_files(folder_of(base, "model")), weight_files(folder)
    if unlike := sorted(before.keys() ^ after.keys()):
        raise UserError(
            f"The merged checkpoint {folder} and the model {base.source} do not hold the same tensors: "
            f"{quoted(unlike[0])} is in one of them only; save it in the model's own form."
        )
    shapes: dict[str, tuple[int, ...]] = {}
    for name in sorted(before):
        old, new = _tensor(before[name], name), _tensor(after[name], name)
        if old.shape != new.shape:
            raise UserError(
                f"{after[name]}: tensor {quoted(name)} has shape {tuple(new.shape)}, but {tuple(old.shape)} "
                f"in the model {base.source}; it is a checkpoint of another model."
            )
        if not torch.isfinite(new).all():
            raise UserError(f"{after[name]}: tensor {quoted(name)} holds NaN or infinity; save it again.")
        if torch.equal(old, new):
            continue
        if not name.endswith(_WEIGHT):
            raise UserError(
                f"{after[name]}: tensor {quoted(name)} differs from the model {base.source}, but only "
                "weights of modules may; biases are not switched."
            )
        shapes[name.removesuffix(_WEIGHT)] = tuple(old.shape)
    if not shapes:
        raise UserError(f"The merged checkpoint {folder} has the very weights of the model {base.source}.")
    return shapes


def read_deltas(adapter: Source, base: Source) -> dict[str, Delta]:
    """What an adapter, or a merged checkpoint, changes at scale 1, by module.

    Raises
    ------
    UserError
        As `pipeline.models.lora.read_factors`, or `changed_modules`.
    """
    if not is_merged(adapter):
        return dict(read_factors(read_adapter_config(folder_of(adapter, "adapter"))))
    before = weight_files(folder_of(base, "model"))
    after = weight_files(folder_of(adapter, "adapter"))
    return {module: _delta(f"{module}{_WEIGHT}", before, after) for module in changed_modules(adapter, base)}


def rank_of(delta: Delta) -> int:
    """Of a change: its components, or of a difference as many as it could have."""
    return len(delta.down) if isinstance(delta, LoraFactors) else min(delta.shape)


def delta_norm(deltas: Mapping[str, Delta]) -> float:
    """Frobenius norm of all that is added to the weights at scale 1, over modules."""
    total = weight_norm({name: one for name, one in deltas.items() if isinstance(one, LoraFactors)}) ** 2
    for one in deltas.values():
        if isinstance(one, Difference):
            total += float(one.delta(torch.device("cpu")).double().square().sum())
    return math.sqrt(total)


def low_rank(difference: torch.Tensor, size: float) -> LoraFactors | None:
    """A difference as a product of two thin matrices, where that is all of it but for rounding.

    A sketch of `MAX_RANK` and a few more random directions holds the whole range of a matrix of that rank;
    what is left outside of it tells. Its singular value decomposition is then the matrix's own.

    Parameters
    ----------
    difference
        (out, in) float32.
    size
        Frobenius norm of the weight it was rounded with.

    Returns
    -------
    LoraFactors or None
        Components by descending singular value, scaling 1; None: of no low rank.
    """
    width = min(*difference.shape, MAX_RANK + _OVERSAMPLED)
    # In float64, so that what is left is the matrix's own rounding.
    whole = difference.double()
    generator = torch.Generator().manual_seed(0)
    directions = torch.randn(difference.shape[1], width, dtype=whole.dtype, generator=generator)
    basis = torch.linalg.qr(whole @ directions).Q
    inside = basis.T @ whole  # (width, in)
    noise = _ROUNDING * size
    left, values, right = torch.linalg.svd(inside, full_matrices=False)
    # What is left out altogether must be rounding, too: the tail's norm, not each value.
    tails = values.square().flip(0).cumsum(0).flip(0).sqrt()
    rank = int((tails > noise).sum())
    thin = 0 < rank <= MAX_RANK and rank * sum(difference.shape) < difference.numel()
    if not thin or float((whole - basis @ inside).norm()) > noise:
        return None
    up = (basis @ left[:, :rank]) * values[:rank]
    return LoraFactors(down=right[:rank].float(), up=up.float(), scaling=1.0)


def _delta(name: str, before: Mapping[str, Path], after: Mapping[str, Path]) -> Delta:
    old, new = _tensor(before[name], name), _tensor(after[name], name)
    if old.ndim == 2 and (found := low_rank(new - old, float(new.norm()))) is not None:
        return found
    return Difference(name=name, before=before[name], after=after[name], shape=tuple(old.shape))


def _tensor(path: Path, name: str) -> torch.Tensor:
    with safe_open(path, framework="pt") as file:
        tensor: torch.Tensor = file.get_tensor(name)
    return tensor.float()
