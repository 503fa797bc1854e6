"""Pictures of the real dashboard for the README: ``python -m tests.dashboard.pictures``.

Run after ``dvc repro``; they land in ``dashboard/pictures/``.
"""

import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.bench.dashboard_bench import strongest_feature
from tests.dashboard.browser import (
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


def main() -> None:
    """Take one picture a page."""
    program = find_chromium()
    if program is None:
        sys.exit("There is no Chromium here; install it (apt-get install chromium) and run again.")
    log = Path(tempfile.mkdtemp(prefix="pictures-")) / "log"
    with served(Path.cwd(), log) as address, launched(program) as browser:
        for name in PAGES:
            page = open_page(browser)
            query = f"?steer={strongest_feature()}" if name == "steering" else ""
            page.goto(f"{address}/{'' if name == 'overview' else name}{query}")
            settle(page)
            if name == "steering":
                page.wait_for_selector("[data-testid=stVegaLiteChart] svg")
                drag_slider(page, 1)
                page.wait_for_timeout(1500)
            picture(page, FOLDER / f"{name}.png", tallest=TALLEST)
            page.context.close()


if __name__ == "__main__":
    main()
