"""The Labels page in a real browser, and the journal behind it: opened, marked by keys, read."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from streamlit.testing.v1 import AppTest

from pipeline.labels.heads import peoples_labels
from pipeline.labels.journal import FOLDER, read_events
from pipeline.labels.standing import Standing, by_prompt, standing
from store.documents.token_texts import tokenizer_fingerprint
from tests.support import demo
from tests.support.browser import served
from tests.support.demo.verdicts import give_verdicts
from tests.support.demo_project import give_parameters, linked

KEYS: Final = {"1": "evil", "2": "safe", "3": "unsure"}


@dataclass(frozen=True, kw_only=True)
class Desk:
    """A dashboard, and the journal that it writes."""

    address: str
    root: Path

    def standing(self, prompt: str, candidates: Sequence[int]) -> Standing:
        """How Ada's labels of a prompt stand in the journal."""
        events = [event for event in read_events(self.root / FOLDER) if event.author == "Ada"]
        return standing(by_prompt(events).get(prompt, []), candidates)

    def final(self) -> dict[str, dict[int, str]]:
        """Ada's final labels by prompt hash and token id."""
        events = read_events(self.root / FOLDER)
        fingerprint = tokenizer_fingerprint(demo.WORDS)
        people = peoples_labels(events, tokenizer=fingerprint, texts=demo.WORDS)
        return {prompt: dict(labels) for prompt, labels in people.labels.get("Ada", {}).items() if labels}


@contextmanager
def served_desk(demo_root: Path, root: Path, log: Path) -> Iterator[Desk]:
    """A project of its own at `root`, with verdicts and no journal, at which Ada labels."""
    linked(demo_root, root)
    give_parameters(root)
    give_verdicts(root / "artifacts" / "demo")
    with served(root, log, EMC_AUTHOR="Ada") as address:
        yield Desk(address=address, root=root)


def shown(app: AppTest) -> dict[str, Any]:
    """The data of the component, as the browser gets it."""
    (drawn,) = app.get("bidi_component")
    found: dict[str, Any] = json.loads(drawn.proto.json)
    return found


def opened(page: Any, address: str, query: str = "") -> None:
    """Open the page and wait until its keys are taken."""
    page.goto(f"{address}/labels{query}")
    ready(page)


def ready(page: Any) -> None:
    """Wait until a prompt stands on the page."""
    page.wait_for_selector(".labelling .row.here")
    page.wait_for_function("() => !document.querySelector('[data-testid=stSkeleton]')")


def tokens(page: Any) -> list[int]:
    """The prompt's candidates, in their order on the page."""
    names = page.locator(".row").evaluate_all("rows => rows.map(row => row.id)")
    return [int(name.removeprefix("row-")) for name in names]


def marks(page: Any) -> list[str]:
    """Each candidate's label as it stands on the page."""
    return [text.split(" ", 1)[1] for text in page.locator(".row .label").all_text_contents()]


def eventually(holds: Callable[[], bool], what: str, seconds: float = 60.0) -> float:
    """Wait until something holds; seconds that it took."""
    start = time.monotonic()
    while not holds():
        assert time.monotonic() - start < seconds, what
        time.sleep(0.01)
    return time.monotonic() - start


def kept(desk: Desk, prompt: str, candidates: Sequence[int], marks: dict[int, str]) -> float:
    """Wait until the journal holds marks; seconds that it took."""
    return eventually(lambda: desk.standing(prompt, candidates).marks == marks, f"{marks} are kept")


def prompt_of(page: Any) -> str:
    """Hash of the prompt on the page."""
    found: str = page.evaluate("() => new URL(location).searchParams.get('prompt')")
    return found


def submit(page: Any) -> None:
    """Make the prompt's labels final."""
    page.keyboard.press("Enter")
    page.locator(".message", has_text="Final.").wait_for()


def on(page: Any, prompt: str) -> None:
    """Go on to another prompt than `prompt`."""
    page.keyboard.press("Enter")
    page.wait_for_function("old => new URL(location).searchParams.get('prompt') !== old", arg=prompt)
    page.locator(".labelling:not(.waiting) .enter", has_text="Submit").wait_for()
