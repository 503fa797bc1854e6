"""The dashboard in a real headless Chromium, for tests, the benchmark and the pictures."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from dashboard import pages
from tests.support.places import ROOT

PAGES: Final = tuple(page.name for page in pages.PAGES)
FLAGS: Final = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
WINDOW: Final = {"width": 1440, "height": 900}
_LIMIT: Final = 300
"""Seconds in which a server starts or ends: on a machine that does ten other things, half a minute."""


def find_chromium() -> str | None:
    """The system's Chromium, if it has one."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if (path := shutil.which(name))), None)


@contextmanager
def served(root: Path, log: Path, **environment: str) -> Iterator[str]:
    """Address of the dashboard on the artifacts below `root`, in a server process of its own."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = int(listener.getsockname()[1])
    with log.open("w") as stream:
        server = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "dashboard/app.py", f"--server.port={port}"],
            cwd=ROOT,
            env={**os.environ, "EMC_ROOT": str(root), **environment},
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + _LIMIT
        while not _answers(port):
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start:\n{log.read_text()[-2000:]}")
            time.sleep(0.25)
        yield f"http://localhost:{port}"
    finally:
        server.terminate()
        try:
            server.wait(timeout=_LIMIT)
        except subprocess.TimeoutExpired:
            server.kill()
            raise


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://localhost:{port}/_stcore/health", timeout=10):
            return True
    except OSError:
        return False


@contextmanager
def launched(program: str) -> Iterator[Any]:
    """A headless Chromium with a fresh profile."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


def open_page(browser: Any, **settings: Any) -> Any:
    """A page in a context of its own."""
    return patient(browser.new_context(viewport=WINDOW, **settings).new_page())


def patient(page: Any) -> Any:
    """The page, which from now on waits as long as a busy machine takes."""
    page.set_default_timeout(60_000)
    return page


_SETTLED: Final = """
() => {
  const app = document.querySelector("[data-testid=stApp]");
  if (app?.dataset.testScriptState !== "notRunning" || !document.querySelector("h2")) return false;
  if (document.querySelector("[data-testid=stStatusWidget], [data-testid=stSkeleton]")) return false;
  if (!window.changes) {
    window.changes = { last: performance.now() };
    new MutationObserver(() => { window.changes.last = performance.now(); })
      .observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
  }
  return performance.now() - window.changes.last > 150;
}
"""
"""Whether no script runs, and nothing on the page has changed for so many milliseconds: a click takes
a few to reach the server, and a chart to be drawn."""


def settle(page: Any) -> None:
    """Wait until Streamlit has nothing left to run."""
    page.wait_for_function(_SETTLED)


def picture(page: Any, path: Path, *, tallest: int = 4000, width: int = WINDOW["width"]) -> None:
    """A screenshot of the whole page, up to a height in pixels."""
    height = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
    page.set_viewport_size({"width": width, "height": min(int(height) + 20, tallest)})
    page.wait_for_timeout(600)
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=path)


def drag_slider(page: Any, index: int) -> None:
    """Drag the first slider's thumb to one of two far places and let go.

    Neither is where a slider begins: at the largest activation, in the middle of its range.
    """
    track = page.locator("[data-testid=stSlider] [role=group]").first.bounding_box()
    thumb = page.locator("[data-testid=stSliderThumbValue]").first.locator("xpath=..").bounding_box()
    y = track["y"] + track["height"] / 2
    page.mouse.move(thumb["x"] + thumb["width"] / 2, y)
    page.mouse.down()
    x = track["x"] + track["width"] * (0.4 + 0.45 * (index % 2) + 0.004 * index)
    page.mouse.move(x - 4, y)
    page.mouse.move(x, y)
    page.mouse.up()


def slider_waits(page: Any, releases: int) -> list[float]:
    """Milliseconds from each release of the slider to the new distribution on the screen."""
    page.evaluate(
        """() => {
          const chart = () => document.querySelector('[data-testid=stVegaLiteChart] svg');
          window.released = null;
          window.waits = [];
          addEventListener('pointerup', () => {
            window.released = performance.now();
            window.old = chart().innerHTML;
          }, true);
          const look = () => {
            if (window.released !== null && chart() && chart().innerHTML !== window.old) {
              window.waits.push(performance.now() - window.released);
              window.released = null;
            }
            requestAnimationFrame(look);
          };
          look();
        }"""
    )
    for index in range(releases):
        drag_slider(page, index)
        page.wait_for_function("n => window.waits.length > n", arg=index)
        page.wait_for_timeout(200)
    waits: list[float] = page.evaluate("window.waits")
    return waits


def stream_waits(page: Any, clicks: int) -> list[float]:
    """Milliseconds from each click on Sample to the first line of a continuation that is new."""
    page.evaluate(
        """() => {
          const lines = () => [...document.querySelectorAll('.continuation')].map(e => e.innerText);
          let clicked = null, old = new Set();
          window.streamed = [];
          addEventListener('pointerup', (event) => {
            if (!event.target.closest('.st-key-sample')) return;
            clicked = performance.now();
            old = new Set(lines());
          }, true);
          const look = () => {
            const now = lines();
            if (clicked !== null && now.some(line => !old.has(line))) {
              window.streamed.push(performance.now() - clicked);
              clicked = null;
            }
            requestAnimationFrame(look);
          };
          look();
        }"""
    )
    for index in range(clicks):
        page.locator(".st-key-sample button").click()
        page.wait_for_function("n => window.streamed.length > n", arg=index)
        page.wait_for_function("() => !document.querySelector('[data-testid=stProgress]')")
        settle(page)
    waits: list[float] = page.evaluate("window.streamed")
    return waits


def screenshots() -> Path | None:
    """Where pictures are kept, if anywhere: the folder that SCREENSHOTS names."""
    folder = os.environ.get("SCREENSHOTS")
    return Path(folder) if folder else None
