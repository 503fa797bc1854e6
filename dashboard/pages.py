"""The one list of pages: navigation, links between pages and tests read it."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page of the dashboard.

    Attributes
    ----------
    name
        Its package below ``dashboard/views``, and its path in the address.
    title
        As navigation shows it.
    icon
        A Material symbol.
    """

    name: str
    title: str
    icon: str

    @property
    def script(self) -> str:
        """The page's script below ``dashboard/``, as `st.switch_page` and `AppTest` take it."""
        return f"views/{self.name}/page.py"


OVERVIEW: Final = Page(name="overview", title="Overview", icon=":material/home:")
COMPARE: Final = Page(name="compare", title="Compare", icon=":material/compare_arrows:")
FEATURES: Final = Page(name="features", title="Features", icon=":material/format_list_numbered:")
STEERING: Final = Page(name="steering", title="Steering", icon=":material/tune:")
EVALUATION: Final = Page(name="evaluation", title="Evaluation", icon=":material/bar_chart:")
PROVENANCE: Final = Page(name="provenance", title="Provenance", icon=":material/account_tree:")

PAGES: Final = (OVERVIEW, COMPARE, FEATURES, STEERING, EVALUATION, PROVENANCE)
"""In the order of navigation; the first opens first."""
