"""A small random subject, its replacement model and an engine on it."""

from typing import Any

import pytest
import torch

from pipeline.interventions.engine import SteeringEngine
from pipeline.models.loading import load_replacement
from tests.support.interventions import BASE


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
