"""Settings for every test, and the one browser that tests of several folders drive.

Few threads, no network, nothing of the user's environment.
"""

import os
from collections.abc import Iterator
from typing import Any

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A headless Chromium: Playwright drives no second one in a thread."""
    from tests.support.browser import find_chromium, launched

    program = find_chromium()
    if program is None:
        pytest.skip("there is no Chromium here (apt-get install chromium)")
    with launched(program) as browser:
        yield browser
