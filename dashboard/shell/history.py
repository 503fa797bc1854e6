"""The browser's history: one entry for each visit of a page, which holds all that was seen there."""

import json

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from dashboard.pages import PAGES
from dashboard.shell.query import PROFILE
from dashboard.shell.url import AT


def restores() -> bool:
    """Whether Back or Forward asked for this run: then the URL alone says what is to be seen.

    Streamlit tells its own widgets so, and has no public word for it.
    """
    context = get_script_run_ctx()
    return context is not None and context.is_history_navigation


def one_entry_a_page() -> None:
    """Make Back lead to the page before as it was left, not through every value its address has had.

    Streamlit adds an entry whenever the script sets a query parameter; where a widget bound to
    the URL changes, it replaces the entry. Here the script's changes replace it as well.

    On the way to another page, Streamlit gives the page that is left addresses that are none of its
    own: an empty one, and often the next page's, which may come before its path does. They would
    take what was seen out of the history, so an address is taken over only where it is this page's:
    it names the page (`url.AT`), or the profile, as all do that widgets write by themselves.

    Who goes back twice has left a page before its run has said where it is. That run, which is overtaken,
    would turn the browser to its own page again, and from there to the one that was asked for, under its
    parameters. Only what a person does turns to another page, so that after Back nothing else may.
    """
    names = {"at": AT, "profile": PROFILE.name, "first": PAGES[0].name}
    st.html(
        f"""<script>
        if (!window.oneEntryAPage) {{
          window.oneEntryAPage = true;
          const names = {json.dumps(names)};
          const push = history.pushState.bind(history), replace = history.replaceState.bind(history);
          const parsed = (url) => {{
            const there = new URL(url ?? location.href, location.href);
            const at = there.searchParams.get(names.at);
            if (at !== null) there.searchParams.delete(names.at);
            const here = location.pathname.split("/").pop() || names.first;
            const mine = at === null ? there.searchParams.has(names.profile) : at === here;
            return {{ there, at, mine }};
          }};
          let asked = true;  // by a person, since the last Back
          addEventListener("popstate", () => asked = false);
          for (const act of ["pointerdown", "keydown", "click"])
            addEventListener(act, () => asked = true, true);
          history.pushState = (state, title, url) => {{
            const {{ there, mine }} = parsed(url);
            if (there.pathname === location.pathname) {{
              if (mine) replace(state, title, there);
            }} else if (asked) push(state, title, there);
          }};
          history.replaceState = (state, title, url) => {{
            const {{ there, at, mine }} = parsed(url);
            if (at === null || mine) replace(state, title, there);
          }};
          // What came before this stood here.
          history.replaceState(history.state, "", location.href);
        }}
        </script>""",
        unsafe_allow_javascript=True,
    )
