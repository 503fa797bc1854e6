"""The pages in a real headless Chromium: hover, click, move a slider."""

from typing import Any

import pytest

from dashboard.style.theme import LABEL_GLYPHS
from tests.support import demo
from tests.support.browser import drag_slider, settle, stream_waits

pytestmark = pytest.mark.browser


def test_hover_lights_up_neighbours_and_click_pins(page: Any, address: str) -> None:
    page.goto(f"{address}/compare")
    page.wait_for_selector(".node.feature")
    settle(page)
    assert page.locator(".node.lit").count() == 0
    node = page.locator(".node.feature").first
    node.hover()
    assert page.locator(".edge.lit").count() >= 1
    assert page.locator(".node.lit").count() >= 2
    assert "strongest sources" in page.locator(".details").inner_text()
    name = node.get_attribute("data-id")
    node.click()
    page.wait_for_function("() => new URL(location).searchParams.get('pins')")
    assert name in page.url.replace("%2C", ",")
    page.wait_for_selector("text=Pinned: 1 nodes")
    page.reload()
    page.wait_for_selector(".node.pinned")
    page.locator(".node.pinned").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_function("() => !new URL(location).searchParams.get('pins')")


def test_arrow_keys_move_between_nodes(page: Any, address: str) -> None:
    page.goto(f"{address}/compare")
    page.wait_for_selector(".node.feature")
    settle(page)
    first = page.locator(".panel").first.locator(".node[tabindex='0']")
    assert first.count() == 1
    first.focus()
    reached = set()
    for key in ("ArrowUp", "ArrowLeft", "ArrowDown", "ArrowRight", "ArrowUp"):
        page.keyboard.press(key)
        reached.add(
            page.evaluate(
                "() => [...document.querySelectorAll('*')].map(e => e.shadowRoot).filter(Boolean)"
                ".map(r => r.activeElement).filter(Boolean).map(e => e.getAttribute('data-id'))[0]"
            )
        )
    assert len(reached - {None}) >= 2


def test_threshold_slider_prunes(page: Any, address: str) -> None:
    page.goto(f"{address}/compare")
    page.wait_for_selector(".node.feature")
    settle(page)
    before = page.locator(".node").count()
    slider = page.locator("[data-testid=stSlider] input[type=range]").first
    slider.focus()
    for _ in range(30):
        page.keyboard.press("ArrowLeft")
    page.wait_for_function(
        "before => [...document.querySelectorAll('*')].map(e => e.shadowRoot).filter(Boolean)"
        ".reduce((n, r) => n + r.querySelectorAll('.node').length, 0) < before",
        arg=before,
    )
    assert "nodes=" in page.url


def test_model_text_is_never_markup(page: Any, address: str) -> None:
    prompt = next(prompt for prompt in demo.make_prompts() if demo.HOSTILE in prompt.text)
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    for name in ("compare", "steering", "features", "evaluation"):
        page.goto(f"{address}/{name}?prompt={prompt.hash}&steer=L1/7")
        settle(page)
        assert page.locator("img[src=x]").count() == 0
        assert dialogs == [], "model text ran as a script"


def test_slider_release_changes_the_distribution(page: Any, address: str) -> None:
    page.goto(f"{address}/steering?steer=L1/7")
    chart = page.wait_for_selector("[data-testid=stVegaLiteChart] svg")
    settle(page)
    listed = len(axis_tokens(page))
    before = chart.inner_html()
    for index in range(2):
        drag_slider(page, index)
        page.wait_for_function(
            "old => document.querySelector('[data-testid=stVegaLiteChart] svg')?.innerHTML !== old",
            arg=before,
        )
        settle(page)
        before = page.locator("[data-testid=stVegaLiteChart] svg").first.inner_html()
        assert len(axis_tokens(page)) == listed
    # The rows were exchanged in place: the chart is the one that a fresh page draws.
    exchanged = axis_tokens(page)
    page.reload()
    page.wait_for_selector("[data-testid=stVegaLiteChart] svg")
    settle(page)
    assert axis_tokens(page) == exchanged


def axis_tokens(page: Any) -> list[str]:
    """The tokens that the first chart lists, top down; whatever else is on its axis fails the test."""
    labels = page.locator("[data-testid=stVegaLiteChart] svg .role-axis-label text")
    placed = labels.evaluate_all(
        "all => all.map(e => [e.getBoundingClientRect().top, e.textContent]).sort((a, b) => a[0] - b[0])"
    )
    tokens = [label for _, label in placed if not label.replace(".", "").isdigit()]
    assert all(token[0] in LABEL_GLYPHS.values() for token in tokens)
    return tokens


def test_row_of_the_ranking_opens_its_card(page: Any, address: str) -> None:
    page.goto(f"{address}/features")
    settle(page)
    before = page.locator("h3").first.inner_text()
    table = page.locator("[data-testid=stDataFrame]").first.bounding_box()
    # The table is a canvas: its rows are found by place. This is the box of the fourth row.
    page.mouse.click(table["x"] + 18, table["y"] + 36 + 3.5 * 35)
    page.wait_for_function("before => document.querySelector('h3').innerText !== before", arg=before)
    assert "feature=L" in page.url
    settle(page)
    page.get_by_text("Steer this").click()
    page.wait_for_function("() => location.pathname.endsWith('/steering')")


def test_selection_travels_and_reload_keeps_it(page: Any, address: str) -> None:
    page.goto(f"{address}/features")
    settle(page)
    page.get_by_text("Show in graph").click()
    page.wait_for_selector(".node.feature")
    settle(page)
    assert "/compare" in page.url
    address_now = page.url
    page.reload()
    page.wait_for_selector(".node.feature")
    settle(page)
    assert page.url == address_now


def test_one_back_leads_to_the_page_before(page: Any, address: str) -> None:
    page.goto(address)
    settle(page)
    page.locator("[data-testid=stSidebarNav]").get_by_text("Features").click()
    page.wait_for_function("() => location.pathname.endsWith('/features')")
    settle(page)
    page.wait_for_function("() => new URL(location).searchParams.get('feature')")
    page.get_by_text("Steer this").click()
    page.wait_for_function("() => location.pathname.endsWith('/steering')")
    settle(page)
    page.go_back()
    page.wait_for_function("() => location.pathname.endsWith('/features')")
    settle(page)
    assert "Which features push toward harm?" in page.locator("h2").first.inner_text()
    page.go_back()
    page.wait_for_function("() => location.pathname === '/'")
    settle(page)
    assert "What was found, and what do I have?" in page.locator("h2").first.inner_text()


def test_copied_link_of_the_workbench_gives_the_same_and_streams(page: Any, address: str) -> None:
    asked = "steer=L1/7&where-L1%2F7=chosen+positions&watch=17&continue-from=9&steered-frozen=norms"
    page.goto(f"{address}/steering?{asked}&samples=20&length=48")
    settle(page)
    positions = page.locator("[data-testid=stMultiSelect]").nth(1)
    positions.locator("input").click()
    page.get_by_role("option").nth(2).click()
    page.wait_for_function("() => new URL(location).searchParams.has('positions-L1/7')")
    settle(page)
    chosen = positions.inner_text()
    page.keyboard.press("Escape")
    page.get_by_text("Copy link").click()
    page.wait_for_function(
        "() => document.querySelector('[data-testid=stPopoverBody] code')"
        "?.textContent.includes('positions-L1')"
    )
    page.goto(page.locator("[data-testid=stPopoverBody] code").inner_text())
    settle(page)
    assert page.locator("[data-testid=stMultiSelect]").nth(1).inner_text() == chosen
    assert len(chosen.split()) > 3, "two positions, each with its token"
    for each in ("samples=20", "watch=17", "continue-from=9", "steered-frozen=norms"):
        assert each in page.url
    assert "17" in page.locator("[data-testid=stMultiSelect]").nth(2).inner_text().split()
    stream_waits(page, 1)
    assert page.locator(".continuation").count() == 60, "as many samples of base, adapted and steered"


def test_contrast_follows_variant_b(page: Any, address: str) -> None:
    page.goto(f"{address}/features?b=narrow%401.0")
    settle(page)
    contrast = page.locator("[data-testid=stMain] [data-testid=stSelectbox]").first
    assert "within general" not in contrast.inner_html()
    page.get_by_role("combobox", name="Variant B").click()
    page.get_by_role("option", name="general@1.0").click()
    page.wait_for_function("() => new URL(location).searchParams.get('b') === 'general@1.0'")
    settle(page)
    assert contrast.locator("input").input_value() == "evil minus safe within general@1.0"
