"""How pages do on a large study: ``python -m tests.bench.scale [--prompts N] [--features N] [--chromium]``.

Writes a made-up store of so many prompts (10,000) and ranked features (2 million), three prompts with
graphs of 8,192 features, and opens every page on the first of these. A row a page, in seconds of the clock
and, since a busy machine waits, of the processor: the first opening, which reads the store; the same page
drawn again; its commonest click. The last two are medians. With ``--chromium`` five people click in a real
browser, too (`tests.bench.people`). The store is removed again, but for one in ``--store FOLDER``.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import psutil
from streamlit.testing.v1 import AppTest

from dashboard.pages import PAGES
from dashboard.shell import query
from tests.bench import people
from tests.support.large_store import build
from tests.support.places import ROOT

PROMPTS: Final = 10_000
FEATURES: Final = 2_000_000
_WIDE: Final = 3
_NODES: Final = 8192
_SECONDS: Final = 600
_TIMES: Final = 5

Click = Callable[[AppTest, int], AppTest]


def _next_prompt(app: AppTest, _: int) -> AppTest:
    return app.button(key="next-prompt").click()  # type: ignore[no-any-return]


def _feature(app: AppTest, turn: int) -> AppTest:
    # A row's box chooses a feature so; AppTest cannot click one.
    app.session_state[query.FEATURE.name] = f"L1/{turn}"
    return app


def _filter(key: str) -> Click:
    def filtered(app: AppTest, turn: int) -> AppTest:
        box = app.selectbox(key=key)
        box.set_value(box.options[turn % len(box.options)])
        return app

    return filtered


CLICKS: Final[dict[str, tuple[str, Click]]] = {
    "overview": ("domain of the list", _filter(query.FOUND_DOMAIN.name)),
    "compare": ("next prompt", _next_prompt),
    "features": ("another feature", _feature),
    "interventions": ("layer", _filter("tried-layer")),
    "steering": ("next prompt", _next_prompt),
    "labels": ("next prompt", _next_prompt),
    "behaviours": ("behaviour", _filter("behaviour")),
    "evaluation": ("question", _filter("asked")),
    "provenance": ("next prompt", _next_prompt),
}
"""What a person does most on a page."""


def _timed(draw: Callable[[], AppTest], page: str) -> tuple[float, float]:
    clock, processor = time.perf_counter(), time.process_time()
    drawn = draw()
    spent = time.perf_counter() - clock, time.process_time() - processor
    assert not drawn.exception, (page, drawn.exception)
    return spent


def table() -> Iterator[str]:
    """Lines of a table in Markdown, a page each, as they are measured."""
    yield "| page | first opening, s (CPU) | again | click | which | server, MB |"
    yield "|---|---|---|---|---|---|"
    app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=_SECONDS).run()
    for page in PAGES:
        which, click = CLICKS[page.name]
        first = _timed(lambda script=page.script: app.switch_page(script).run(), page.name)
        again = [_timed(app.run, page.name) for _ in range(_TIMES)]
        clicks = [
            _timed(lambda turn=turn, act=click: act(app, turn).run(), page.name)
            for turn in range(1, _TIMES + 1)
        ]
        cells = [
            f"{statistics.median(clock):.2f} ({statistics.median(processor):.2f})"
            for clock, processor in (zip(*spent, strict=True) for spent in ([first], again, clicks))
        ]
        memory = psutil.Process().memory_info().rss / 1e6
        yield f"| {page.title} | {' | '.join(cells)} | {which} | {memory:.0f} |"


def large_store(root: Path, *, prompts: int, features: int) -> None:
    """Write the store into a folder that has none; one that is not finished is none."""
    if (root / "artifacts").exists():
        return
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root) as aside:
        build(Path(aside), prompts=prompts, features=features, wide=_WIDE, nodes=_NODES)
        (Path(aside) / "artifacts").rename(root / "artifacts")


def main() -> None:
    """Write the store and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--prompts", type=int, default=PROMPTS)
    parser.add_argument("--features", type=int, default=FEATURES)
    parser.add_argument("--chromium", action="store_true", help="five people in a real browser, too")
    parser.add_argument("--store", type=Path, help="a folder that has such a store, or is to keep it")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = asked.store or Path(folder)
        large_store(root, prompts=asked.prompts, features=asked.features)
        os.environ["EMC_ROOT"] = str(root)
        print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors", flush=True)
        for line in table():
            print(line, flush=True)
        if asked.chromium:
            for line in people.table(root, Path(folder) / "log"):
                print(line, flush=True)


if __name__ == "__main__":
    main()
