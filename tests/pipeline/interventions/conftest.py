"""A small random subject, its replacement model and an engine on it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.interventions import Intervention, SteeringEngine
from pipeline.models.loading import load_replacement
from store.documents.variants import Variant
from tests.builders import make_checkpoint

BASE = Variant(name="base", scale=0.0)


def uncached(
    engine: SteeringEngine,
    token_ids: Sequence[int],
    setting: Sequence[Intervention],
    prompt_length: int | None = None,
) -> np.ndarray:
    """Logits (token,) after a whole sequence, read in one pass without a cache."""
    runner = engine._runner
    return runner.run([token_ids], runner.plan([tuple(setting)]), prompt_length=prompt_length)[0]


@pytest.fixture(scope="package")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return make_checkpoint(tmp_path_factory.mktemp("subject")).manifest()


@pytest.fixture(scope="package")
def replacement(manifest: Any) -> Any:
    return load_replacement(manifest, BASE)


@pytest.fixture
def engine(replacement: Any) -> SteeringEngine:
    return SteeringEngine(replacement)


@pytest.fixture(scope="package")
def ids(manifest: Any) -> tuple[int, ...]:
    generator = torch.Generator().manual_seed(5)
    return (1, *torch.randint(3, 300, (11,), generator=generator).tolist())
