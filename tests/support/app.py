"""The app as AppTest drives it: what a page says."""

from collections.abc import Callable

from streamlit.testing.v1 import AppTest

OpenPage = Callable[..., AppTest]


def words(app: AppTest) -> str:
    """Everything that the page says in text elements."""
    kinds = ("title", "markdown", "caption", "info", "warning", "error", "success", "subheader")
    return "\n".join(str(element.value) for kind in kinds for element in app.get(kind))


def plain_words(app: AppTest) -> str:
    return words(app).replace("\\", "")
