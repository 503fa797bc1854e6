"""A small random subject, loaded once."""

from typing import Any

import pytest

from pipeline.models.loading import load_replacement
from pipeline.models.tokenizer import load_tokenizer
from store.documents.variants import Variant


@pytest.fixture(scope="package")
def replacement(manifest: Any) -> Any:
    return load_replacement(manifest, Variant(name="base", scale=0.0))


@pytest.fixture(scope="package")
def tokenizer(manifest: Any) -> Any:
    return load_tokenizer(manifest)
