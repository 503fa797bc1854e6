"""Who labels."""

import pytest


@pytest.fixture(autouse=True)
def _ada(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMC_AUTHOR", "Ada")
