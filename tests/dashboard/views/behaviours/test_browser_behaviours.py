"""Filters of Behaviours in a real headless Chromium: every panel obeys them, and the link keeps them."""

import re
from typing import Any

import pytest

from tests.support.browser import settle

pytestmark = pytest.mark.browser


def _told(page: Any) -> str:
    """What the tab says that it found: how many of how many features act."""
    said = page.get_by_text(re.compile(r"\d+ of \d+ features act by themselves")).first
    said.wait_for()
    text: str = said.inner_text()
    return text


_SHOWN = """(layer) => {
  const marks = [...document.querySelectorAll("[data-testid=stVegaLiteChart] svg [aria-label*='feature: L']")]
    .map((mark) => mark.getAttribute("aria-label"));
  return marks.length > 0 && marks.every((label) => label.includes(`feature: ${layer}`));
}"""
"""Whether charts name features to a screen reader, and all of them in this layer."""


def test_a_chosen_layer_is_obeyed_by_every_panel_and_kept_in_the_link(page: Any, address: str) -> None:
    page.goto(f"{address}/behaviours?behaviour-view=Interventions")
    every = _told(page)
    settle(page)
    assert not page.evaluate(_SHOWN, "L0")

    page.get_by_role("combobox", name="Layer").click()
    page.get_by_role("option", name="L0", exact=True).click()
    page.wait_for_function("location.href.includes('behaviour-layer=L0')")
    page.wait_for_function(_SHOWN, arg="L0")
    settle(page)
    few = _told(page)
    assert few != every

    page.reload()
    settle(page)
    assert _told(page) == few
    page.get_by_role("tab", name="Circuit").click()
    page.wait_for_function("location.href.includes('behaviour-view=Circuit')")
    settle(page)
    assert "behaviour-layer=L0" in page.url
