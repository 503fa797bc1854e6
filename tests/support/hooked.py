"""Subjects whose transcoders read and write at known hooks, exactly: linear maps fitted to a prompt."""

from collections.abc import Sequence
from pathlib import Path

import torch
import yaml
from safetensors.torch import save_file
from transformer_lens.hook_points import HookPoint

from pipeline.models.loading import load_replacement
from pipeline.models.replacement import ReplacementModel
from store.documents.variants import Variant
from tests.support.builders import Checkpoint

BASE = Variant(name="base", scale=0.0)


def base_of(checkpoint: Checkpoint) -> ReplacementModel:
    """Its base, with the transcoders that lie there now."""
    return load_replacement(checkpoint.manifest(), BASE)


def plant(
    checkpoint: Checkpoint, read: str, written: str, token_ids: Sequence[int], *, rtol: float = 1e-15
) -> None:
    """Write transcoders that make of what is at one hook exactly what is at another, on a prompt.

    A prompt of no more tokens than the model is wide has such a map; features are silent. Directions
    that are a share `rtol` of the longest are left out: then it is not exact, and tame on other inputs.
    """
    model = base_of(checkpoint)
    layers = range(model.cfg.n_layers)
    seen: dict[str, torch.Tensor] = {}

    def grab(value: torch.Tensor, hook: HookPoint) -> None:
        seen[str(hook.name)] = value[0].detach()

    names = [f"blocks.{layer}.{name}" for layer in layers for name in (read, written)]
    with torch.no_grad():
        model.run_with_hooks(torch.tensor(token_ids), fwd_hooks=[(name, grab) for name in names])
    for layer in layers:
        x, y = seen[f"blocks.{layer}.{read}"], seen[f"blocks.{layer}.{written}"]
        width = x.shape[1]
        tensors = {
            "W_enc": torch.zeros(64, width),
            "W_dec": torch.zeros(64, width),
            "b_enc": torch.full((64,), -1.0),
            "b_dec": torch.zeros(width),
            "W_skip": (torch.linalg.pinv(x.double(), rtol=rtol) @ y.double()).T.float().contiguous(),
        }
        save_file(tensors, checkpoint.transcoders / f"layer_{layer}.safetensors")
    declare(checkpoint.transcoders, read, written)


def declare(folder: Path, read: str, written: str) -> None:
    """Let a set's configuration name these hooks."""
    config = yaml.safe_load((folder / "config.yaml").read_text())
    hooks = {"feature_input_hook": read, "feature_output_hook": written}
    (folder / "config.yaml").write_text(yaml.safe_dump(config | hooks))
