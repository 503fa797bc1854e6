"""How long a researcher waits for a steered distribution, in a real browser."""

import json
import statistics
from pathlib import Path
from typing import Any, Final

from store.datasets.groups import open_dataset
from tests.support.browser import find_chromium, launched, open_page, served, settle, slider_waits

PROFILE: Final = "organism"
RELEASES: Final = 20


def steering_figures(folder: Path) -> dict[str, Any]:
    """Median wait after a slider's release on the organism, in milliseconds; None without Chromium.

    From the pointer's release to the changed chart: the baseline, the steered pass and the
    band of like features. The steered feature is the one that pushes most toward
    harm in the adapter that is traced everywhere.
    """
    program = find_chromium()
    if program is None:
        return {"steering_release_ms": None, "raw": {"steering_release_ms": []}}
    with served(Path.cwd(), folder / "log") as address, launched(program) as browser:
        page = open_page(browser)
        page.goto(f"{address}/steering?steer={strongest_feature()}")
        page.wait_for_selector("[data-testid=stVegaLiteChart] svg")
        settle(page)
        waits = slider_waits(page, RELEASES)
    return {
        "steering_release_ms": round(statistics.median(waits), 1),
        "raw": {"steering_release_ms": [round(wait, 1) for wait in waits]},
    }


def strongest_feature() -> str:
    """The feature that the adapter adds most of toward harm, as ``L2/618``."""
    folder = Path("artifacts") / PROFILE
    focus = json.loads((folder / "models.json").read_text(encoding="utf-8"))["focus"]
    ranking = open_dataset(folder / "features", "ranking").load()
    contrast = [str(name) for name in ranking["contrast"].values].index(f"{focus}@1.0-base")
    best = int(ranking["effect"].values[contrast, 0].argmax())
    return f"L{int(ranking['layer'].values[best])}/{int(ranking['index'].values[best])}"
