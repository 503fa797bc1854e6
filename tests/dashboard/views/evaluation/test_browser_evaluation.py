"""Answers in a real headless Chromium: a point is clicked, a feature is typed, its tokens are shaded."""

from typing import Any

import pytest

from tests.support.browser import settle

pytestmark = pytest.mark.browser

POINTS = "[data-testid=stVegaLiteChart] svg .mark-symbol.role-mark path"


def test_a_click_opens_the_answer_and_a_typed_feature_shades_it(page: Any, address: str) -> None:
    page.goto(f"{address}/evaluation?judge=gpt&answers-of=general%401.0")
    page.wait_for_selector(POINTS)
    settle(page)
    points = page.locator(f"{POINTS}[aria-label*='misaligned']")
    assert points.count() > 10
    before = page.url
    points.nth(3).click()
    page.wait_for_function(
        "before => location.href !== before && location.href.includes('answer=')", arg=before
    )
    settle(page)
    page.get_by_text("Shade by a feature").click()
    field = page.get_by_role("combobox", name="Feature")
    field.fill("L1/9")
    field.press("Enter")
    page.wait_for_selector(".shaded-answer span[title^='activation']", timeout=90_000)
    settle(page)
    address_now = page.url
    assert "feature=L1%2F9" in address_now
    assert "shade=true" in address_now
    shaded = page.locator(".shaded-answer").inner_text()
    page.reload()
    page.wait_for_selector(".shaded-answer")
    assert page.locator(".shaded-answer").inner_text() == shaded
