"""What the browser needs around every page: its style sheet, and the link that skips to the content."""

from typing import Final

import streamlit as st

from dashboard.style.theme import FAINT, LABEL_INKS, ON_PRIMARY, PRIMARY

METRIC: Final = 76
"""Height of a metric, pixels: said, the page keeps it free until it is drawn."""

# Streamlit draws the page before it applies a style sheet, so none of this moves what stands in a
# wide window: the room above and beside the page is Streamlit's. Its header covers the first
# 3.75rem, and nothing is scrolled to beneath it. In a narrow window, columns flow into further lines,
# and panes (columns inside a container whose key begins with "narrow") stand below one another.
# Graphviz knows one colour for both modes.
_STYLE: Final = f"""
[data-testid="stMain"] {{ scroll-padding-top: 4rem }}
@media (max-width: 1180px) {{
  .stMainBlockContainer [data-testid="stColumn"] {{ min-width: min(100%, 12rem) }}
  [class*="st-key-narrow"] [data-testid="stColumn"] {{ min-width: min(100%, 19rem) }}
  [class*="st-key-narrow"] [data-testid="stColumn"] [data-testid="stColumn"] {{ min-width: 9.5rem }}
  [class*="st-key-narrow"] [class*="st-key-narrow"] [data-testid="stColumn"] {{ min-width: min(100%, 19rem) }}
}}
[data-testid="stBaseButton-primary"], [data-tag], [data-tag] * {{
  color: {ON_PRIMARY.css} !important
}}
.stGraphVizChart text {{ fill: {FAINT.css} }}
.stGraphVizChart .stale text {{ fill: {LABEL_INKS["evil"].css} }}
#skip-link {{
  position: fixed; left: .5rem; top: -5rem; z-index: 1000001; padding: .5rem 1rem; border-radius: .4rem;
  background: {PRIMARY}; color: white; font: 1rem sans-serif;
}}
#skip-link:focus {{ top: .5rem }}
"""

# The document's first element, so that Tab comes to it first. A graph's nodes, and the candidates to label,
# are in shadows.
_SKIP: Final = """
if (!document.getElementById("skip-link")) {
  const within = (key, selector) => [...document.querySelectorAll(`.st-key-${key} *`)]
    .map((each) => each.shadowRoot?.querySelector(selector)).find(Boolean);
  const graph = () => within("graph", ".node[tabindex='0']");
  const candidates = () => within("labelling-box", "[role=listbox]");
  const link = document.createElement("a");
  link.id = "skip-link";
  link.href = "#";
  link.textContent = "Skip to content";
  link.addEventListener("focus", () => {
    link.textContent = `Skip to ${graph() ? "the graph" : candidates() ? "the candidates" : "content"}`;
  });
  link.addEventListener("click", (event) => {
    event.preventDefault();
    const heading = document.querySelector("[data-testid=stMain] h2");
    heading?.setAttribute("tabindex", "-1");
    (graph() ?? candidates() ?? heading)?.focus();
  });
  document.body.prepend(link);
}
"""


def style() -> None:
    """Put the style sheet into the page, before all else."""
    st.html(f"<style>{_STYLE}</style>")


def skip_link() -> None:
    """Put the link into the page."""
    st.html(f"<script>{_SKIP}</script>", unsafe_allow_javascript=True)
