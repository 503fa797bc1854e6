"""The app as AppTest drives it: what a page says."""

from collections.abc import Callable, Iterator

from streamlit.testing.v1 import AppTest

from dashboard.pages import PAGES

OpenPage = Callable[..., AppTest]


def turned(app: AppTest) -> Iterator[str]:
    """Turn an app that shows Overview to every page, one after the other.

    Yields
    ------
    Name of the page that the app has just drawn.
    """
    first, *others = PAGES
    yield first.name
    for page in others:
        app.switch_page(page.script).run()
        yield page.name


def words(app: AppTest) -> str:
    """Everything that the page says in text elements."""
    kinds = ("title", "markdown", "caption", "info", "warning", "error", "success", "subheader")
    return "\n".join(str(element.value) for kind in kinds for element in app.get(kind))


def plain_words(app: AppTest) -> str:
    return words(app).replace("\\", "")
