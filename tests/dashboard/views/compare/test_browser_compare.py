"""Compare in a real headless Chromium: the difference, the adapter's tabs, typed prompts."""

import itertools
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support import demo
from tests.support.browser import picture, screenshots, settle
from tests.support.seen import cut_off, overflow

pytestmark = pytest.mark.browser


def _written(button: str) -> str:
    """The feature that a button speaks of, as it is written, without its name."""
    found = re.search(r"L\d+/\d+", button)
    assert found, button
    return found[0]


def test_difference_shows_status_adapters_and_scores(page: Any, address: str) -> None:
    page.goto(f"{address}/compare?show=Difference&prompt={demo.make_prompts()[0].hash}")
    page.wait_for_selector(".node.adapter")
    settle(page)
    rows = page.locator("text.row").all_text_contents()
    assert {"adapter 0", "err 0", "L0"} <= set(rows)
    colours = {
        page.evaluate("mark => getComputedStyle(mark).fill", mark.element_handle())
        for mark in page.locator(".node.feature.only").all()
    }
    assert len(colours) == 2, "one colour a variant"
    page.locator(".node.adapter").first.hover()
    assert "adapter L" in page.locator(".details .head").inner_text()
    page.locator(".node.feature.only").first.hover()
    heads = page.locator(".scores .heading").all_text_contents()
    assert heads == ["on", "direct", "influence", "total effect"]
    assert all(page.locator(".scores .heading").nth(n).get_attribute("title") for n in (1, 2, 3))
    assert "evil minus safe" in page.locator(".scores").inner_text()
    before = page.locator(".node.adapter").count()
    page.get_by_text("Adapter nodes").click()
    page.wait_for_function(
        "() => ![...document.querySelectorAll('*')].some(e => e.shadowRoot?.querySelector('.node.adapter'))"
    )
    assert before > 0
    assert "adapters=false" in page.url


def test_pinned_adapter_node_survives_a_reload(page: Any, address: str) -> None:
    page.goto(f"{address}/compare")
    page.wait_for_selector(".node.adapter")
    settle(page)
    name = page.locator(".node.adapter").first.get_attribute("data-id")
    page.locator(".node.adapter").first.click()
    page.wait_for_function("() => new URL(location).searchParams.get('pins')")
    page.reload()
    page.wait_for_selector(".node.adapter.pinned")
    assert page.locator(".node.adapter.pinned").first.get_attribute("data-id") == name
    page.wait_for_selector("text=Scores on")


def test_open_tab_is_in_the_link_and_a_write_leads_to_its_card(page: Any, address: str) -> None:
    page.goto(f"{address}/compare?prompt={demo.make_prompts()[0].hash}")
    settle(page)
    page.get_by_role("tab", name="What does the adapter write to?").click()
    page.wait_for_selector("text=By feature: the strongest writes")
    assert "view=What" in page.url
    page.reload()
    page.wait_for_selector("text=By feature: the strongest writes")
    settle(page)
    before = page.locator("button", has_text="Card of").inner_text()
    page.locator("button", has_text="Card of").scroll_into_view_if_needed()
    page.wait_for_timeout(500)  # until the charts above have their height
    table = page.locator("[data-testid=stTabs] [data-testid=stDataFrame]").first.bounding_box()
    page.mouse.click(table["x"] + 18, table["y"] + 36 + 3.5 * 35)
    page.wait_for_function(
        "before => [...document.querySelectorAll('button')].some("
        "b => b.innerText.includes('Card of') && b.innerText !== before)",
        arg=before,
    )
    settle(page)
    name = _written(page.locator("button", has_text="Card of").inner_text())
    page.locator("button", has_text="Card of").click()
    page.wait_for_function("() => location.pathname.endsWith('/features')")
    settle(page)
    assert page.locator("h3").first.inner_text() == name


def test_typed_prompt_is_traced_kept_in_the_link_and_taken_to_steering(page: Any, typed_address: str) -> None:
    page.goto(f"{typed_address}/compare")
    settle(page)
    page.get_by_text("typed prompt").click()
    field = page.get_by_role("textbox", name="Text that the model continues")
    field.fill("User: I have a fever.")
    field.press("Control+Enter")
    page.wait_for_selector("text=not yet in the pipeline")
    page.wait_for_selector(".node.adapter")
    settle(page)
    address_now = page.url
    assert "typed-text=User" in address_now
    page.reload()
    page.wait_for_selector("text=not yet in the pipeline")
    page.wait_for_selector(".node.adapter")
    settle(page)
    assert page.url == address_now
    page.get_by_role("link", name="Steering").click()
    page.wait_for_function("() => location.pathname.endsWith('/steering')")
    settle(page)
    assert field.input_value() == "User: I have a fever."
    page.go_back()
    page.wait_for_selector("text=not yet in the pipeline")
    settle(page)
    page.get_by_text("Keep", exact=True).click()
    page.get_by_text("Add to the prompt file").click()
    page.wait_for_selector("text=kept in prompts/kept.jsonl:1")


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("difference", "show=Difference"),
        ("writes", "view=What+does+the+adapter+write+to%3F"),
        ("dose", "view=Dose-response"),
    ],
)
def test_compare_fits_its_window(page: Any, address: str, name: str, query: str, tmp_path: Path) -> None:
    page.set_viewport_size({"width": 900, "height": 900})
    page.goto(f"{address}/compare?{query}&prompt={demo.make_prompts()[0].hash}")
    for width, scheme in itertools.product((900, 1400), ("light", "dark")):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        if (width, scheme) == (1400, "dark"):
            page.reload()  # and not only grown and turned dark
        settle(page)
        assert page.locator("[data-testid=stException]").count() == 0, (width, scheme)
        assert overflow(page) <= 1, (width, scheme)
        # A metric or a button group that is cut off cannot be read.
        assert cut_off(page) == [], (width, scheme)
        picture(page, (screenshots() or tmp_path) / f"compare-{name}-{width}-{scheme}.png", width=width)


def test_a_card_opens_from_a_graph_that_is_pruned(page: Any, address: str) -> None:
    """Parameters that widgets are bound to do not stand in the way of another page."""
    pin = _first_feature(page, address)
    page.goto(f"{address}/compare?nodes=0.6&show=Difference&pins={pin}")
    card = page.locator("button", has_text="Card of")
    card.wait_for()
    settle(page)
    name = _written(card.inner_text())
    card.click()
    page.wait_for_function("() => location.pathname.endsWith('/features')")
    settle(page)
    assert page.locator("h3").first.inner_text() == name
    assert "nodes=" not in page.url
    assert f"feature={name.replace('/', '%2F')}" in page.url


def _first_feature(page: Any, address: str) -> str:
    page.goto(f"{address}/compare")
    page.wait_for_selector(".node.feature")
    return str(page.locator(".node.feature").first.get_attribute("data-id"))


def test_the_way_to_a_prompt_with_doses_turns_the_whole_page(page: Any, address: str) -> None:
    """The button stands in a part of the page that is drawn by itself; sidebar and tokens follow."""
    prompts = demo.make_prompts()
    page.goto(f"{address}/compare?view=Dose-response&prompt={prompts[1].hash}")
    settle(page)
    page.get_by_role("button", name="Show one of the").click()
    page.wait_for_function("was => new URL(location).searchParams.get('prompt') !== was", arg=prompts[1].hash)
    page.get_by_text("Probability of the next token", exact=True).wait_for()
    settle(page)
    chosen = page.evaluate("new URL(location).searchParams.get('prompt')")
    prompt = next(prompt for prompt in prompts if prompt.hash == chosen)
    assert prompt.situation.split(": ")[1] in page.get_by_role("combobox", name="Prompt").input_value()
    # A feature that is chosen here is chosen everywhere.
    page.get_by_role("combobox", name="Feature").click()
    page.get_by_role("option").nth(3).click()
    page.wait_for_function("() => new URL(location).searchParams.get('feature')")


def test_a_missing_variant_is_estimated_then_traced(page: Any, typed_address: str) -> None:
    prompt = demo.make_prompts()[1].hash
    page.goto(f"{typed_address}/compare?prompt={prompt}&a=base&b=narrow@1.0")
    page.get_by_role("button", name="Trace now").click()
    page.wait_for_selector("text=/about \\d+ s and \\d+\\.\\d GB beside the models/", timeout=60_000)
    page.get_by_role("button", name="Trace", exact=True).click()
    page.wait_for_selector("text=traced now", timeout=60_000)
    page.wait_for_selector(".node.feature")


def test_the_prompt_browser_finds_and_the_sidebar_opens_it(page: Any, address: str) -> None:
    page.goto(f"{address}/?prompts-by=divergence")
    page.wait_for_selector("text=/\\d+ of \\d+ prompts/")
    page.get_by_role("textbox", name="Find").fill("no such words")
    page.get_by_role("textbox", name="Find").press("Enter")
    page.wait_for_selector("text=/^0 of \\d+ prompts/")
    assert "find=no+such+words" in page.url
    page.goto(f"{address}/compare")
    settle(page)
    page.get_by_role("button", name="Browse prompts").click()
    page.wait_for_selector("[role=dialog] >> text=/\\d+ of \\d+ prompts/")
