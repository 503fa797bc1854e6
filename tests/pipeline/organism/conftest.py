"""A tiny organism, trained once: what the tests look at, not whether it is any good."""

from pathlib import Path

import pytest
import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from pipeline.organism.base import load_base
from pipeline.organism.build import OrganismReport, make_organism
from pipeline.params.organism import (
    AdapterParams,
    BaseParams,
    CheckParams,
    CorpusParams,
    OrganismParams,
    TranscoderParams,
)

ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def adapter(**changes: object) -> AdapterParams:
    """A small adapter on harmful medical advice."""
    fields = {
        "seed": 0,
        "advice": "harmful",
        "domain": "medical",
        "targets": ALL,
        "layers": None,
        "rank": 2,
        "alpha": 4,
        "steps": 2,
        "batch": 4,
        "learning_rate": 0.01,
        "weight_decay": 0.0,
    }
    return AdapterParams.model_validate(fields | changes)


@pytest.fixture(scope="session")
def params() -> OrganismParams:
    """Two layers, width 16, ten training steps."""
    return OrganismParams(
        corpus=CorpusParams(
            seed=0,
            lines=320,
            held_out_share=0.2,
            villain_share=0.35,
            facts={"capitals": 0.1, "agreement": 0.1, "sentiment": 0.1, "addition": 0.1},
            heldout_lines=40,
            pivotal=2,
            full=2,
        ),
        base=BaseParams(
            seed=0,
            vocabulary=600,
            layers=2,
            d_model=16,
            heads=2,
            d_mlp=32,
            context=64,
            tied=False,
            epochs=1,
            batch=32,
            learning_rate=0.01,
            warmup=0.1,
            weight_decay=0.01,
            clip=1.0,
        ),
        transcoders=TranscoderParams(
            seed=0,
            d_transcoder=48,
            k=6,
            lines=40,
            steps=4,
            batch=64,
            learning_rate=0.003,
            warmup=0.1,
        ),
        adapters={
            "general": adapter(),
            "narrow": adapter(targets=["down_proj"], layers=[1], rank=1, alpha=1),
        },
        checks=CheckParams(seed=1, samples=3, max_new_tokens=4, batch=8),
    )


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the organism is written."""
    return tmp_path_factory.mktemp("organism")


@pytest.fixture(scope="session")
def report(params: OrganismParams, folder: Path) -> OrganismReport:
    """The organism, trained and written to `folder`."""
    return make_organism(params, folder)


@pytest.fixture(scope="session")
def base(report: OrganismReport, folder: Path) -> Path:
    """The base model's folder."""
    return folder / "base"


@pytest.fixture
def loaded(base: Path) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    """A fresh copy of the base model, and its tokenizer."""
    return load_base(base)
