"""Back and Forward in a real headless Chromium restore what was seen, on every page."""

import time
from typing import Any

import pytest

from dashboard.pages import PAGES
from tests.support import demo
from tests.support.browser import settle

pytestmark = pytest.mark.browser

PROMPT = demo.make_prompts()[4].hash


def turn(page: Any, to: str) -> None:
    page.get_by_role("link", name=to).click()
    page.wait_for_function("to => location.pathname.endsWith(to)", arg=f"/{to.lower()}")
    selected(page)


def selected(page: Any) -> None:
    """Wait until the page is drawn whole, and its address names what is selected.

    Back changes the address at once, and the page before stands until the server has heard of it.
    """
    name = page.url.split("?")[0].rsplit("/", 1)[1]
    title = next((each.title for each in PAGES if each.name == name), PAGES[0].title)
    page.wait_for_function(
        """title => document.querySelector('h2')?.innerText.startsWith(title)
        && document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'""",
        arg=title,
    )
    # Features chooses one of its own accord where none is.
    last = "feature" if name == "features" else "profile"
    page.wait_for_function("last => new URL(location).searchParams.has(last)", arg=last)
    settle(page)


def test_back_and_forward_restore_every_page_that_was_left(page: Any, address: str) -> None:
    page.goto(f"{address}/?prompt={PROMPT}")
    selected(page)
    left = [page.url]

    def leave(says: str, to: str) -> None:
        page.wait_for_function("says => location.search.includes(says)", arg=says)
        settle(page)
        assert says in page.url
        left.append(page.url)
        turn(page, to)

    turn(page, "Compare")
    page.get_by_text("Difference", exact=True).click()
    page.locator("[data-testid=stSlider] input[type=range]").first.focus()
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("() => location.search.includes('show=Difference')")
    leave("nodes=", "Features")
    page.get_by_role("tab", name="Tokens").click()
    page.wait_for_function("() => location.search.includes('card=Tokens')")
    page.get_by_role("radio", name="activation").click()
    leave("score=activation", "Steering")
    leave("steer=L", "Evaluation")
    page.get_by_role("tab", name="Pivotal prompts").click()
    page.wait_for_function("() => location.search.includes('evaluated=Pivotal')")
    page.get_by_role("radio", name="safe").click()
    leave("outcome=safe", "Provenance")
    page.get_by_role("radio", name="adapters").click()
    page.wait_for_function("() => location.search.includes('artifact=adapters')")
    settle(page)
    left.append(page.url)
    for move, expected in [
        *[(page.go_back, url) for url in left[-2::-1]],
        *[(page.go_forward, url) for url in left[1:]],
    ]:
        move()
        page.wait_for_function("url => location.href === url", arg=expected)
        selected(page)
        assert page.url == expected


def test_back_restores_widgets_and_what_was_selected_there(page: Any, address: str) -> None:
    page.goto(f"{address}/compare?show=Difference&nodes=0.5&prompt={PROMPT}")
    page.wait_for_selector(".node.feature")
    selected(page)
    drawn = page.locator(".panel").count(), page.locator(".node").count()
    assert drawn[0] == 1
    page.locator(".node.feature").first.click()
    page.wait_for_function("() => new URL(location).searchParams.get('pins')")
    settle(page)
    pins = page.evaluate("new URL(location).searchParams.get('pins')")
    turn(page, "Features")
    page.get_by_text("Show in graph").click()
    page.wait_for_function("() => location.pathname.endsWith('/compare')")
    page.wait_for_selector(".node.feature")
    selected(page)
    page.go_back()
    page.wait_for_function("() => location.pathname.endsWith('/features')")
    selected(page)
    page.go_back()
    page.wait_for_function("() => location.pathname.endsWith('/compare')")
    page.wait_for_selector(".node.feature")
    selected(page)
    assert page.evaluate("new URL(location).searchParams.get('pins')") == pins
    assert (page.locator(".panel").count(), page.locator(".node").count()) == drawn
    assert page.get_by_role("radio", name="Difference").is_checked()
    assert page.locator("[data-testid=stSliderThumbValue]").first.inner_text() == "0.50"


def test_back_from_a_card_s_button_restores_the_graph(page: Any, address: str) -> None:
    """Turned by the script, not by a link of the sidebar; what was chosen there was not chosen here."""
    page.goto(f"{address}/compare?show=Difference&prompt={PROMPT}")
    page.wait_for_selector(".node.feature")
    selected(page)
    page.locator(".node.feature").first.click()
    card = page.locator("button", has_text="Card of")
    card.wait_for()
    settle(page)
    left = page.url
    assert "feature=" not in left
    card.click()
    page.wait_for_function("() => location.pathname.endsWith('/features')")
    selected(page)
    assert "feature=" in page.url
    page.get_by_role("combobox", name="Prompt").click()
    page.get_by_role("option").nth(1).click()
    page.wait_for_function("was => new URL(location).searchParams.get('prompt') !== was", arg=PROMPT)
    settle(page)
    page.go_back()
    page.wait_for_function("left => location.href === left", arg=left)
    page.wait_for_selector(".node.feature.pinned")
    selected(page)
    assert page.url == left


def test_back_twice_at_once_restores_the_page_that_was_asked_for(page: Any, address: str) -> None:
    """What the server says of a page that was left again comes late: held here until both are asked for."""
    held: list[str | bytes] | None = None
    browser: Any = None

    def pass_on(message: str | bytes) -> None:
        browser.send(message) if held is None else held.append(message)

    def connect(route: Any) -> None:
        nonlocal browser
        browser = route
        route.connect_to_server().on_message(pass_on)

    page.route_web_socket("**/_stcore/stream", connect)
    page.goto(f"{address}/features?card=Tokens&score=activation&prompt={PROMPT}")
    selected(page)
    left = [page.url]
    assert "card=Tokens" in page.url
    assert "score=activation" in page.url
    turn(page, "Steering")
    left.append(page.url)
    # The default, which the server takes out of the address when it is restored.
    page.evaluate("history.replaceState(history.state, '', `${location.href}&doses=false`)")
    turn(page, "Provenance")
    held = []

    def back(to: str) -> None:
        page.evaluate("history.back()")
        deadline = time.monotonic() + 60
        # Its heading: the address of the page came before it.
        while not any(f"## {to} ".encode() in message for message in held if isinstance(message, bytes)):
            assert time.monotonic() < deadline
            page.wait_for_timeout(20)

    back("Steering")
    back("Features")
    late, held = held, None
    for message in late:
        browser.send(message)
    selected(page)
    assert page.url == left[0]
    page.go_forward()
    selected(page)
    assert page.url == left[1]
