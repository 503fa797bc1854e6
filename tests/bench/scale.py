"""How pages do on a large study: ``python -m tests.bench.scale [PROMPTS] [FEATURES]``.

Writes a made-up store of so many prompts (10,000) and ranked features (2 million), three prompts with
graphs of 8,192 features, and opens every page on the first of these. Printed are the seconds of a page's
first opening, which reads the store, of the same page drawn again, and the memory of the server by then.
"""

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import psutil
from streamlit.testing.v1 import AppTest

from dashboard.pages import PAGES
from tests.support.large_store import build
from tests.support.places import ROOT

PROMPTS: Final = 10_000
FEATURES: Final = 2_000_000
_WIDE: Final = 3
_NODES: Final = 8192
_SECONDS: Final = 600


def timed(page: str, app: AppTest) -> tuple[float, float]:
    """Seconds of opening a page, and of drawing it once more."""
    spent = []
    for draw in (lambda: app.switch_page(page).run(), app.run):
        begun = time.perf_counter()
        drawn = draw()
        spent.append(time.perf_counter() - begun)
        assert not drawn.exception, (page, drawn.exception)
    return spent[0], spent[1]


def main(prompts: int = PROMPTS, features: int = FEATURES) -> None:
    """Write the store and print a line a page."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["EMC_ROOT"] = folder
        build(Path(folder), prompts=prompts, features=features, wide=_WIDE, nodes=_NODES)
        app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=_SECONDS).run()
        for page in PAGES:
            first, again = timed(page.script, app)
            memory = psutil.Process().memory_info().rss / 1e6
            print(f"{page.name:>14}: {first:6.2f} s, again {again:5.2f} s, {memory:5.0f} MB", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
