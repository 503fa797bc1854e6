"""Five people at once in a real browser, for ``python -m tests.bench.scale --chromium``."""

import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import psutil

from dashboard.data.tables import contrast_words
from dashboard.pages import FEATURES, PAGES
from dashboard.shell import query
from tests.support.browser import find_chromium, launched, open_page, served, settle
from tests.support.large_store import PAIR

PEOPLE: Final = 5
_CONTRASTS: Final = tuple(f"evil-safe|{variant}" for variant in PAIR)
_CLICKS: Final = 3
_ROW: Final = 35
"""Height of a table's row, pixels."""

_WATCH: Final = """() => {
  const app = document.querySelector('[data-testid=stApp]');
  const main = document.querySelector('[data-testid=stMain]');
  const state = () => app.getAttribute('data-test-script-state');
  window.clicked = window.first = window.last = null;
  addEventListener('pointerup', () => {
    window.clicked = performance.now();
    window.first = window.last = null;
    window.ran = false;
  }, true);
  const all = {subtree: true, childList: true, characterData: true};
  new MutationObserver(() => {
    window.last = performance.now();
    window.first ??= window.last;
  }).observe(main, all);
  new MutationObserver(() => { window.last = performance.now(); })
    .observe(document.querySelector('[data-testid=stSidebar]'), all);
  new MutationObserver(() => {
    if (state() === 'running') window.ran = true;
    else window.last = performance.now();
  }).observe(app, {attributes: true, attributeFilter: ['data-test-script-state']});
  // A short run is over before the page says that it runs.
  window.still = () => (window.ran || window.last !== null)
    && state() === 'notRunning' && performance.now() - window.last > 400;
}"""
"""Notes when a click's first answer stands on the page, and when nothing changes any more."""


def table(root: Path, log: Path) -> Iterator[str]:
    """Lines of a table in Markdown: a page each, milliseconds of one person's clicks and of five at once."""
    program = find_chromium()
    if program is None:
        yield "There is no Chromium here."
        return
    yield "| page | one: first change, ms | all drawn | server's CPU | five: first change | all drawn | MB |"
    yield "|---|---|---|---|---|---|---|"
    with served(root, log) as address, launched(program) as browser:
        server = _server()
        pages = [open_page(browser) for _ in range(PEOPLE)]
        for page in PAGES:
            for person, one in enumerate(pages):
                # They look at two rankings.
                asked = urlencode({query.CONTRAST.name: contrast_words(_CONTRASTS[person % 2])})
                where = f"{page.name}?{asked}" if page is FEATURES else page.name
                one.goto(f"{address}/{'' if page is PAGES[0] else where}")
                settle(one)
                one.evaluate(_WATCH)
            before = _processor(server)
            alone = _waits(pages[:1], page.name)
            spent = f"{1000 * (_processor(server) - before) / _CLICKS:.0f}"
            together = _waits(pages, page.name)
            memory = f"{server.memory_info().rss / 1e6:.0f}"
            yield f"| {page.title} | {' | '.join([*alone, spent, *together, memory])} |"
        status = Path(f"/proc/{server.pid}/status").read_text(encoding="ascii")
        yield f"Server's peak: {int(status.split('VmHWM:')[1].split()[0]) * 1024 / 1e6:.0f} MB."


def _server() -> psutil.Process:
    """The process that `served` has started."""
    started = psutil.Process().children(recursive=True)
    return next(each for each in started if "streamlit" in each.cmdline())


def _processor(server: psutil.Process) -> float:
    """Processor seconds that the server has taken."""
    times = server.cpu_times()
    return float(times.user + times.system)


def _waits(pages: list[Any], name: str) -> list[str]:
    """Medians of the first change and of the last one, in milliseconds, where all click at the same time."""
    first, last = [], []
    for turn in range(_CLICKS):
        for one in pages:
            _click(one, name, turn)
        for one in pages:
            one.wait_for_function("() => window.still()")
            clicked, changed, still = one.evaluate("[window.clicked, window.first, window.last]")
            # A page that shows nothing of what was clicked has its answer when it has been drawn.
            first.append((changed or still) - clicked)
            last.append(still - clicked)
    return [f"{statistics.median(waits):.0f}" for waits in (first, last)]


def _click(page: Any, name: str, turn: int) -> None:
    """Another feature of the table on Features, else the next prompt."""
    if name != FEATURES.name:
        page.locator("[data-testid=stSidebar] .st-key-next-prompt button").first.click()
        return
    box = page.locator("[data-testid=stDataFrame]").first.bounding_box()
    page.mouse.click(box["x"] + _ROW / 2, box["y"] + _ROW * (2.5 + turn))
