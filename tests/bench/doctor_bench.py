"""How far the doctor's estimates of memory are from what processes take, at a shape wide enough to count."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
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
from tests.bench.doctor_peak import ANSWER_TOKENS, FACT_TOKENS, FACTS, HELD_OUT, STEERED_TOKENS, TARGETS
from tests.support.builders import PROJECTIONS, TEXTS, Checkpoint, add_adapter, make_transcoders

_WIDTH: Final = 512
_CASES: Final = (
    ("deep", "float32", "health", 16),
    ("deep", "bfloat16", "health", 16),
    ("deep", "float32", "graphs", 64),
    ("deep", "float32", "graphs", 160),
    ("deep", "float32", "dose", 12),
    ("deep", "float32", "activations", 64),
    ("deep", "float32", "answers", 16),
    ("broad", "float32", "features", 64),
    ("broad", "float32", "validation", 192),
    ("broad", "float32", "interventions", 64),
    ("broad", "float32", "faithfulness", 160),
    ("broad", "float32", "steered", 16),
    ("broad", "float32", "facts", 24),
)
"""Subject, dtype, what is measured, and tokens of the prompt."""
STAGES: Final = {
    "health": "models",
    "graphs": "graphs",
    "dose": "dose",
    "activations": "activations, components, features",
    "features": "activations, components, features",
    "answers": "answers, baseline",
    "validation": "validation, behaviour_interventions, recipes",
    "interventions": "interventions",
    "faithfulness": "faithfulness",
    "steered": "steered",
    "facts": "steered",
}
"""Whose estimate each is held against; stages that share one, by the one that takes most."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Of a random subject, 512 wide."""

    layers: int
    vocabulary: int
    features: int
    threshold: float
    """Of transcoders: as few features are active on a token as in public sets."""


_SUBJECTS: Final = {
    "deep": Sizes(layers=12, vocabulary=4096, features=2048, threshold=2.2),
    "broad": Sizes(layers=2, vocabulary=8192, features=16_384, threshold=2.7),
}
"""Where layers weigh most, and where dictionary and vocabulary do."""


def wide_checkpoint(folder: Path, dtype: str, sizes: Sizes) -> Checkpoint:
    """A random Llama with an adapter on all projections, and transcoders."""
    checkpoint = Checkpoint(folder=folder)
    config = LlamaConfig(
        vocab_size=sizes.vocabulary,
        hidden_size=_WIDTH,
        intermediate_size=4 * _WIDTH,
        num_hidden_layers=sizes.layers,
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
    generator = torch.Generator().manual_seed(0)
    make_transcoders(checkpoint.transcoders, sizes.layers, _WIDTH, sizes.features, generator=generator)
    for path in checkpoint.transcoders.glob("*.safetensors"):
        threshold = torch.full((sizes.features,), sizes.threshold)
        save_file({**load_file(path), "activation_function.threshold": threshold}, path)
    return checkpoint


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
    folders = [folder / f"doctor-{subject}-{dtype}" for subject, dtype, *_ in _CASES]
    for place, (subject, dtype, *_) in zip(folders, _CASES, strict=True):
        if not place.exists():
            wide_checkpoint(place, dtype, _SUBJECTS[subject])
    cases = [(str(place), *case[1:]) for place, case in zip(folders, _CASES, strict=True)]
    for (place, dtype, what, tokens), found in zip(cases, _measured(cases), strict=True):
        sizes = shape(Checkpoint(folder=Path(place)), dtype)
        estimate = _estimated(sizes, what, tokens, found.get("active", 1.0))
        errors.append(abs(estimate / found["peak"] - 1))
        raw[f"{what} {dtype} {tokens}"] = {"measured": found["peak"], "estimated": estimate}
    return {"doctor_memory_error": max(errors), "raw": {"doctor": raw}}


def _measured(cases: Sequence[tuple[str, str, str, int]]) -> list[dict[str, float]]:
    command = [sys.executable, "-m", "tests.bench.doctor_peak", json.dumps(cases)]
    # Freed memory goes back to the system at once, so that peaks are of what is held.
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def _estimated(shape: Shape, what: str, tokens: int, active: float) -> float:
    found = work(what, tokens, active)
    needed = needs(shape, found, load_params(), resident=True, on_gpu=False, mapped=True)
    return {need.stages: need.memory for need in needed}[STAGES[what]]


def work(what: str, tokens: int, active: float) -> Work:
    """As much as a case has to do, with so many tokens and active features of a layer on each."""
    return Work(
        prompts=1,
        longest=tokens,
        tokens=tokens,
        active=active,
        targets=TARGETS,
        questions=0,
        answer_tokens={"answers": ANSWER_TOKENS, "steered": STEERED_TOKENS}.get(what, 0),
        dose_prompts=int(what == "dose"),
        text_tokens=HELD_OUT * tokens if what == "features" else 0,
        facts=FACTS if what == "facts" else 0,
        fact_tokens=FACT_TOKENS,
        nulls=0,
    )
