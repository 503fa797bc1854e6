"""What a parameter of the URL is; `dashboard.shell.query` declares each."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypedDict

from dashboard.pages import Page
from dashboard.shell import forms


class Bound(TypedDict):
    """What a widget takes to be kept in the URL."""

    key: str
    bind: Literal["query-params"]


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One parameter of the URL.

    Attributes
    ----------
    name
        In the URL, and in the session's state.
    form
        What its value must be, in words: it stands behind “is not”.
    fits
        Whether a value has that form; whether it exists is for whoever offers the choice.
    page
        Whose widget says it; None: it is selected once for every page.
    each
        Whether there is one for each of several features: ``mode-L2/618``.
    """

    name: str
    form: str
    fits: Callable[[str], bool]
    page: Page | None = None
    each: bool = False

    def key(self, of: str = "") -> str:
        """Its name, of the feature where there is one for each."""
        return f"{self.name}-{of}" if self.each else self.name

    def bound(self, of: str = "") -> Bound:
        """Options of the widget that says it: ``st.selectbox(..., **OUTCOME.bound())``."""
        return {"key": self.key(of), "bind": "query-params"}


def choice(page: Page, name: str, *choices: str, each: bool = False) -> Parameter:
    """One of some words."""
    form = f"one of {', '.join(choices)}"
    return Parameter(name=name, form=form, fits=forms.one_of(*choices), page=page, each=each)


def short_text(page: Page, name: str, form: str, *, each: bool = False) -> Parameter:
    """A short text in one line."""
    return Parameter(name=name, form=form, fits=forms.is_name, page=page, each=each)


def number(page: Page, name: str, *, each: bool = False) -> Parameter:
    """A number."""
    return Parameter(name=name, form="a number", fits=forms.is_number, page=page, each=each)


def switch(page: Page, name: str) -> Parameter:
    """On or off."""
    return choice(page, name, "true", "false")
