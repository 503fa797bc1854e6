"""How far the doctor's estimates of memory are from what processes take, at a shape wide enough to count."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

from pipeline.doctor.needs import needs
from pipeline.doctor.shapes import Shape, shape_of
from pipeline.doctor.work import Work
from pipeline.models.architectures import read_config
from pipeline.models.base_forms import CONFIG, empty_model
from pipeline.models.transcoders import read_transcoder_facts
from pipeline.organism.tokenizer import train_tokenizer
from pipeline.params.project import load_params
from tests.bench.doctor_peak import ANSWER_TOKENS, TARGETS
from tests.support.builders import PROJECTIONS, TEXTS, Checkpoint, add_adapter, make_transcoders

_LAYERS: Final = 12
_WIDTH: Final = 512
_FEATURES: Final = 2048
_CASES: Final = (
    ("float32", "health", 16),
    ("bfloat16", "health", 16),
    ("float32", "graphs", 64),
    ("float32", "graphs", 160),
    ("float32", "activations", 64),
    ("float32", "answers", 16),
)
"""Dtype, what is measured, and tokens of the prompt."""
_STAGES: Final = {
    "health": "models",
    "graphs": "graphs",
    "activations": "activations, features",
    "answers": "answers, baseline",
}


def wide_checkpoint(folder: Path, dtype: str) -> Checkpoint:
    """A random Llama of 12 layers, 512 wide, an adapter on all projections, and transcoders."""
    checkpoint = Checkpoint(folder=folder)
    config = LlamaConfig(
        vocab_size=4096,
        hidden_size=_WIDTH,
        intermediate_size=4 * _WIDTH,
        num_hidden_layers=_LAYERS,
        num_attention_heads=8,
        num_key_value_heads=2,
        max_position_embeddings=256,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        initializer_range=0.03,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        LlamaForCausalLM(config).to(getattr(torch, dtype)).save_pretrained(checkpoint.base)
    train_tokenizer(TEXTS, vocabulary=320, context=256).save_pretrained(checkpoint.base)
    add_adapter(checkpoint, "general", r=4, lora_alpha=8, target_modules=list(PROJECTIONS))
    make_transcoders(
        checkpoint.transcoders, _LAYERS, _WIDTH, _FEATURES, generator=torch.Generator().manual_seed(0)
    )
    for path in checkpoint.transcoders.glob("*.safetensors"):
        _quieten(path)
    return checkpoint


def _quieten(path: Path) -> None:
    """As few active features a token as public sets have."""
    tensors = load_file(path)
    threshold = torch.full((_FEATURES,), 2.2)
    save_file({**tensors, "activation_function.threshold": threshold}, path)


def shape(checkpoint: Checkpoint, dtype: str) -> Shape:
    """The doctor's shape of it."""
    path = checkpoint.base / CONFIG
    empty = empty_model(read_config(checkpoint.base, str(checkpoint.base)), path)
    manifest = checkpoint.manifest(dtype=dtype)
    facts = read_transcoder_facts(manifest.transcoders)
    return shape_of(empty, facts, [each.targets for each in manifest.adapters.values()], dtype=dtype)


def doctor_figures(folder: Path) -> dict[str, Any]:
    """`doctor_memory_error`: the largest |estimate / measured - 1| of `_CASES`."""
    raw, errors = {}, []
    for dtype, what, tokens in _CASES:
        checkpoint = Checkpoint(folder=folder / f"doctor-{dtype}")
        if not checkpoint.folder.exists():
            wide_checkpoint(checkpoint.folder, dtype)
        found = _measured(checkpoint.folder, dtype, what, tokens)
        estimate = _estimated(shape(checkpoint, dtype), what, tokens, found.get("active", 1.0))
        errors.append(abs(estimate / found["peak"] - 1))
        raw[f"{what} {dtype} {tokens}"] = {"measured": found["peak"], "estimated": estimate}
    return {"doctor_memory_error": max(errors), "raw": {"doctor": raw}}


def _measured(folder: Path, dtype: str, what: str, tokens: int) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.bench.doctor_peak", str(folder), dtype, what, str(tokens)]
    # Freed memory goes back to the system at once, so that peaks are of what is held.
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _estimated(shape: Shape, what: str, tokens: int, active: float) -> float:
    work = Work(
        prompts=1,
        longest=tokens,
        tokens=tokens,
        active=active,
        targets=TARGETS,
        questions=0,
        answer_tokens=ANSWER_TOKENS,
        dose_prompts=0,
    )
    found = {
        need.stages: need.memory for need in needs(shape, work, load_params(), resident=True, on_gpu=False)
    }
    return found[_STAGES[what]]
