"""A small random subject, made once a session."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.builders import Checkpoint, add_adapter, make_checkpoint


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """Read-only: a test that changes files makes its own."""
    return make_checkpoint(tmp_path_factory.mktemp("models") / "tiny")


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
