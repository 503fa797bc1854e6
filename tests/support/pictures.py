"""Pictures of the real dashboard for the README: ``python -m tests.support.pictures``.

Run after ``dvc repro``; they land in ``dashboard/pictures/``.
"""

import sys
import tempfile
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from dashboard.views.compare.tabs import DOSE, WRITES
from store.collections.reader import open_collection
from tests.bench.dashboard_bench import strongest_feature
from tests.support.browser import (
    PAGES,
    drag_slider,
    find_chromium,
    launched,
    open_page,
    picture,
    served,
    settle,
)

FOLDER: Final = Path("dashboard/pictures")
TALLEST: Final = 1250


def shots() -> dict[str, str]:
    """Address of every picture: the pages as they open, and what else Compare has."""
    dosed = open_collection(Path("artifacts/organism/dose")).prompts()[0]
    compared = {
        "difference": {"show": "Difference"},
        "writes": {"view": WRITES},
        "dose": {"view": DOSE, "prompt": dosed},
    }
    return {
        **{name: "" if name == "overview" else name for name in PAGES},
        "steering": f"steering?steer={strongest_feature()}",
        **{name: f"compare?{urlencode(query)}" for name, query in compared.items()},
    }


def main() -> None:
    """Take the pictures."""
    program = find_chromium()
    if program is None:
        sys.exit("There is no Chromium here; install it (apt-get install chromium) and run again.")
    log = Path(tempfile.mkdtemp(prefix="pictures-")) / "log"
    with served(Path.cwd(), log) as address, launched(program) as browser:
        for name, where in shots().items():
            page = open_page(browser)
            page.goto(f"{address}/{where}")
            settle(page)
            if name == "steering":
                page.wait_for_selector("[data-testid=stVegaLiteChart] svg")
                drag_slider(page, 1)
                page.wait_for_timeout(1500)
            picture(page, FOLDER / f"{name}.png", tallest=TALLEST)
            page.context.close()


if __name__ == "__main__":
    main()
