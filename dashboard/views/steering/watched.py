"""Watched tokens: rank, logit and probability on every side, and where steering turns a sign."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import streamlit as st

from dashboard.live.workbench import Bench
from dashboard.shell import downloads, query
from dashboard.style.text import visible
from dashboard.style.theme import LABEL_GLYPHS
from dashboard.views.steering.token_choice import Tokens, tokens_of
from pipeline.analysis.next_token import most_probable, watched_table
from pipeline.recipes.document import MAX_WATCHED
from store.documents.token_texts import token_text

_UNASKED: Final = 5
_OFFERED: Final = 60


def offered(before: np.ndarray, labels: Mapping[int, str]) -> list[int]:
    """Tokens to pick from: the most probable before steering, then those with labels."""
    return list(dict.fromkeys([*most_probable([before], 20), *labels]))[:_OFFERED]


def show(
    bench: Bench,
    sides: Mapping[str, np.ndarray],
    known: Tokens,
    labels: Mapping[int, str],
) -> list[int]:
    """Draw the choice and the table; the tokens that are watched.

    Parameters
    ----------
    bench
        What is steered.
    sides
        (token,) logits before and after, and of the variant beside where there is one.
    known, labels
        All tokens, and labels by id.
    """
    st.subheader("Watched tokens", anchor=False)
    chosen = st.multiselect(
        "Watch",
        [known.name(token) for token in offered(sides["before"], labels)],
        **query.WATCH.bound(),
        accept_new_options=True,
        max_selections=MAX_WATCHED,
        placeholder="·open",
        help="Pick tokens, or type one as the chart shows it (· is a space) or by its id. Until one is "
        f"picked, the {_UNASKED} most probable ones stand here.",
    )
    picked = tokens_of(chosen, known)[:MAX_WATCHED]
    tokens = picked or most_probable([sides["before"], sides["after"]], _UNASKED)
    frame = watched_table(sides, tokens)
    frame.insert(1, "text", [token_text(known.texts, token) for token in tokens])
    frame.insert(2, "label", [labels.get(token, "unlabelled") for token in tokens])
    shown = frame.assign(
        text=[
            f"{LABEL_GLYPHS[label]} {visible(text)}"
            for label, text in zip(frame["label"], frame["text"], strict=True)
        ],
        flip=["⇅ flips" if flip else "" for flip in frame["flip"]],
    )
    names = {"before": f"{bench.variant}", "other": bench.other, "after": "steered"}
    st.dataframe(
        shown,
        hide_index=True,
        key="watched-table",
        height=downloads.table_height(len(shown)),
        column_order=[
            "text",
            *(
                f"{what}_{side}"
                for what in ("probability", "rank", "logit")
                for side in names
                if side in sides
            ),
            "flip",
        ],
        column_config=_columns({side: name for side, name in names.items() if side in sides}),
    )
    downloads.downloads(frame, "watched-tokens", key="watched")
    return picked


def _columns(names: Mapping[str, str]) -> dict[str, Any]:
    column, text = st.column_config.NumberColumn, st.column_config.TextColumn
    found: dict[str, Any] = {
        "text": text("token", help="The token with its label's sign: ▲ evil, ■ safe, ◆ unsure, ○ unlabelled.")
    }
    for side, name in names.items():
        found |= {
            f"probability_{side}": column(
                f"P, {name}", format="%.3g", help=f"Probability that it comes next, {name}."
            ),
            f"rank_{side}": column(
                f"rank, {name}",
                format="%d",
                help=f"Its place among all tokens, {name}; 1 is the most probable.",
            ),
            f"logit_{side}": column(
                f"logit, {name}",
                format="%+.3g",
                help=f"Its logit minus the mean over the vocabulary, {name}.",
            ),
        }
    found["flip"] = text(
        "sign",
        help="Marked where the centred logit has another sign steered than before: the token went from less "
        "likely than the mean logit to more, or back.",
    )
    return found
