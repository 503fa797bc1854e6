"""A tiny organism, trained once: what the tests look at, not whether it is any good."""

from pathlib import Path

import pytest
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from pipeline.organism.base import load_base
from pipeline.organism.build import OrganismReport, make_organism
from pipeline.params.organism import OrganismParams
from tests.support.organism import tiny_organism


@pytest.fixture(scope="session")
def params() -> OrganismParams:
    return tiny_organism()


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
