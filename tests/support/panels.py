"""What the panels of a page show: the data of every table and chart that it draws."""

from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest

from dashboard.shell import downloads


def noted(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Data of every table and chart as it is drawn from now on, as CSV by the key of its downloads."""
    real, found = downloads.downloads, {}

    def note(frame: pd.DataFrame, name: str, *, key: str) -> None:
        found[key] = frame.to_csv()
        real(frame, name, key=key)

    monkeypatch.setattr(downloads, "downloads", note)
    return found


def helps(page: Any) -> Iterator[str]:
    """What stands on hover beside a page's titles and captions."""
    for kind in ("markdown", "caption"):
        yield from (str(element.proto.help) for element in page.get(kind))


def untold(page: Any) -> list[str]:
    """Titles of panels that do not say on hover which filters they obey."""
    titles = [element for element in page.markdown if str(element.value).startswith("**")]
    return [str(each.value) for each in titles if "Obeys " not in str(each.proto.help)]
