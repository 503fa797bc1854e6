"""How long a researcher waits for a steered distribution, and for a label, in a real browser."""

import json
import statistics
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Final

from store.datasets.groups import open_dataset
from tests.support import demo
from tests.support.browser import (
    find_chromium,
    launched,
    open_page,
    served,
    settle,
    slider_waits,
    stream_waits,
)
from tests.support.label_desk import kept, on, opened, prompt_of, served_desk, submit, tokens

PROFILE: Final = "organism"
RELEASES: Final = 20
CLICKS: Final = 10
_STEERING: Final = ("steering_release_ms", "stream_first_ms")
MARKS: Final = 40

LATENCY: Final = """() => {
  const list = [...document.querySelectorAll("*")].map((e) => e.shadowRoot?.querySelector("[role=listbox]"))
    .find(Boolean);
  window.waits = [];
  list.addEventListener("keydown", (event) => {
    if (!"123".includes(event.key)) return;
    const row = list.querySelector(".row.here"), before = performance.now();
    // After the next frame: the mark has been drawn.
    requestAnimationFrame(() => setTimeout(() => {
      if (!row.querySelector(".label.unlabelled")) window.waits.push(performance.now() - before);
    }));
  }, true);
}"""
"""Notes the milliseconds from each key to its mark on the screen."""


def steering_figures(folder: Path) -> dict[str, Any]:
    """Median waits on the Steering page of the organism, in milliseconds; None without Chromium.

    ``steering_release_ms`` is from a slider's release to the changed chart: the steered pass and the band of
    like features. ``stream_first_ms`` is from the click on Sample to the first token of a continuation on the
    screen. The steered feature is the one that pushes most toward harm in the adapter that is traced
    everywhere.
    """
    program = find_chromium()
    if program is None:
        return {**dict.fromkeys(_STEERING), "raw": {name: [] for name in _STEERING}}
    with served(Path.cwd(), folder / "log") as address, launched(program) as browser:
        page = open_page(browser)
        page.goto(f"{address}/steering?steer={strongest_feature()}")
        page.wait_for_selector("[data-testid=stVegaLiteChart] svg")
        settle(page)
        waits = dict(zip(_STEERING, (slider_waits(page, RELEASES), stream_waits(page, CLICKS)), strict=True))
    return {
        **{name: round(statistics.median(of), 1) for name, of in waits.items()},
        "raw": {name: [round(wait, 1) for wait in of] for name, of in waits.items()},
    }


def labelling_figures(folder: Path) -> dict[str, Any]:
    """Median milliseconds from a key to its mark on the screen, and from a prompt's last key to the journal.

    Both None without Chromium. The prompts are the tests' made-up ones.
    """
    program = find_chromium()
    waits: list[float] = []
    to_disk: list[float] = []
    if program is not None:
        own = Path(mkdtemp(prefix="desk-", dir=folder))  # another one if it is measured once more
        demo.build(own / "demo")
        with (
            served_desk(own / "demo", own / "desk", own / "desk.log") as desk,
            launched(program) as browser,
        ):
            page = open_page(browser)
            opened(page, desk.address)
            page.evaluate(LATENCY)
            while len(waits) < MARKS:
                prompt, candidates = prompt_of(page), tokens(page)
                for _ in candidates:
                    page.keyboard.press("2")
                to_disk.append(1000 * kept(desk, prompt, candidates, dict.fromkeys(candidates, "safe")))
                waits = page.evaluate("window.waits")
                submit(page)
                on(page, prompt)
    return {
        "label_mark_ms": round(statistics.median(waits), 1) if waits else None,
        "label_disk_ms": round(statistics.median(to_disk), 1) if to_disk else None,
        "raw": {"label_mark_ms": waits, "label_disk_ms": to_disk},
    }


def strongest_feature() -> str:
    """The feature that the adapter adds most of toward harm, as ``L2/618``."""
    folder = Path("artifacts") / PROFILE
    focus = json.loads((folder / "models.json").read_text(encoding="utf-8"))["focus"]
    ranking = open_dataset(folder / "features", "ranking").load()
    contrast = [str(name) for name in ranking["contrast"].values].index(f"{focus}@1.0-base")
    best = int(ranking["effect"].values[contrast, 0].argmax())
    return f"L{int(ranking['layer'].values[best])}/{int(ranking['index'].values[best])}"
