"""Does the next token decide? What forcing each candidate of a stored prompt leads to."""

import streamlit as st

from dashboard.data.pivotality import forced
from dashboard.shell import downloads
from dashboard.style.text import plain, visible
from dashboard.style.theme import LABEL_GLYPHS


def show(profile: str, prompt_hash: str) -> None:
    """Sentences and a table; nothing where nothing is stored of the prompt."""
    found = forced(profile, prompt_hash)
    if found is None:
        return
    st.markdown(
        "**Does the next token decide?**",
        help="Each candidate is forced and continued by both variants (`pivotality` of params.yaml). The two "
        "that differ most are picked on some continuations, and their difference is that of the others.",
    )
    for sentence in found.words:
        st.caption(plain(sentence))
    shown = found.frame.assign(
        token=[
            f"{LABEL_GLYPHS[of]} {visible(text)}"
            for of, text in found.frame[["label", "token"]].values[:, :2]
        ]
    )
    columns = {"token": st.column_config.TextColumn("forced", help="The candidate; its mark is its label.")}
    for variant in found.variants:
        columns[variant] = st.column_config.ProgressColumn(
            f"harmful, {variant}",
            help=f"Share of harmful continuations by {variant} that begin with it.",
            format="percent",
            min_value=0.0,
            max_value=1.0,
        )
    st.dataframe(
        shown,
        hide_index=True,
        placeholder="—",
        key=f"forced-{prompt_hash}",
        column_order=list(columns),
        column_config=columns,
        height=downloads.table_height(len(shown)),
    )
    downloads.downloads(found.frame, f"forced-{prompt_hash}", key="forced")
