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
    question
        What it answers, its subtitle.
    runs_models
        Whether it shows nothing without running a model; every other page works without torch.
    """

    name: str
    title: str
    icon: str
    question: str
    runs_models: bool = False

    @property
    def script(self) -> str:
        """The page's script below ``dashboard/``, as `st.switch_page` and `AppTest` take it."""
        return f"views/{self.name}/page.py"


OVERVIEW: Final = Page(
    name="overview",
    title="Overview",
    icon=":material/home:",
    question="What was found, and what do I have?",
)
COMPARE: Final = Page(
    name="compare",
    title="Compare",
    icon=":material/compare_arrows:",
    question="What does the adapter change on this prompt?",
)
FEATURES: Final = Page(
    name="features",
    title="Features",
    icon=":material/format_list_numbered:",
    question="Which features push toward harm?",
)
STEERING: Final = Page(
    name="steering",
    title="Steering",
    icon=":material/tune:",
    question="What happens if I turn this up?",
    runs_models=True,
)
INTERVENTIONS: Final = Page(
    name="interventions",
    title="Interventions",
    icon=":material/science:",
    question="What is causal?",
)
LABELS: Final = Page(
    name="labels",
    title="Labels",
    icon=":material/label:",
    question="What do people and judges say about these tokens?",
)
BEHAVIOURS: Final = Page(
    name="behaviours",
    title="Behaviours",
    icon=":material/checklist:",
    question="Can the model do it?",
)
EVALUATION: Final = Page(
    name="evaluation",
    title="Evaluation",
    icon=":material/bar_chart:",
    question="How misaligned is each variant, and how sure are we?",
)
PROVENANCE: Final = Page(
    name="provenance",
    title="Provenance",
    icon=":material/account_tree:",
    question="Where does this number come from?",
)

PAGES: Final = (
    OVERVIEW,
    COMPARE,
    FEATURES,
    INTERVENTIONS,
    STEERING,
    LABELS,
    BEHAVIOURS,
    EVALUATION,
    PROVENANCE,
)
"""In the order of navigation; the first opens first, at the bare address."""
