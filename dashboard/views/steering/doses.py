"""Dose-response of a whole setting, in the band of features like it."""

from collections.abc import Mapping, Sequence

import streamlit as st

from dashboard.charts import steering as charts
from dashboard.live import workbench
from dashboard.live.models import NotLiveError
from dashboard.live.workbench import STRENGTHS, Bench
from dashboard.shell import downloads, query
from dashboard.style.text import plain, sentence
from dashboard.views.steering.token_choice import Tokens
from pipeline.analysis.next_token import dose_table
from pipeline.interventions.kinds import Intervention

_OF_LABEL = {"evil tokens": "evil", "safe tokens": "safe"}


def show(
    bench: Bench,
    setting: Sequence[Intervention],
    watched: Sequence[int],
    known: Tokens,
    labels: Mapping[int, str],
) -> None:
    """Draw the switch and, where it is on, the curve; it is computed only then, and once a setting.

    Parameters
    ----------
    bench, setting
        What is steered, and how.
    watched
        Tokens that it may be drawn of, beside those with labels.
    known, labels
        All tokens, and labels by id.
    """
    left, right = st.columns([1, 2.4], vertical_alignment="bottom")
    wanted = left.toggle(
        "Dose-response",
        **query.DOSES.bound(),
        help="The whole setting at strengths from -1 to 3: of what it changes of an activation so much is "
        "done. 0 does nothing, 1 is what stands above.",
    )
    if not wanted:
        return
    groups = {
        words: [token for token, of in labels.items() if of == label] for words, label in _OF_LABEL.items()
    }
    groups = {words: tokens for words, tokens in groups.items() if tokens}
    groups |= {known.name(token): [token] for token in watched}
    if not groups:
        st.caption("Of which tokens? Watch one above: none of this prompt's has a label.")
        return
    of = right.selectbox(
        "Probability of",
        list(groups),
        **query.DOSE_OF.bound(),
        help="That the next token is one of these: those with a label, or a watched one.",
    )
    if not any(not one.does_nothing for one in setting):
        st.caption("Nothing is turned: there is no dose.")
        return
    try:
        steered, controls = workbench.doses(bench, setting)
    except NotLiveError as error:
        st.info(sentence(str(error)), icon=":material/search_off:")
        return
    frame = dose_table(STRENGTHS, steered, controls, groups[str(of)])
    downloads.chart(
        charts.doses(frame, of=str(of)),
        frame,
        "dose-response",
        key="steering-doses",
        alt=f"Probability of {of} by the setting's strength, with the band of like features",
    )
    n = controls.shape[1]
    st.caption(
        plain(
            f"Band: one more feature like these would lie in it nine times in ten, at each strength; {n} "
            "features like it, steered alike."
            if frame["low"].notna().any()
            else f"Too few features are like it for a band: {n}."
        )
    )
