"""A feature's name on its card, and the field in which a person gives it one."""

import streamlit as st

from dashboard.data import documents, journal, names, readers
from dashboard.style.text import count, interval, percent, plain, sentence
from pipeline.labels.author import author
from pipeline.labels.events import MAX_NAME
from pipeline.labels.feature_names import naming
from pipeline.labels.journal import append
from store.base.errors import UserError

_PROBLEM = "_naming_problem"


def show(name: str, feature: tuple[int, int]) -> None:
    """Draw name and field."""
    called = names.of_features(name).get(feature, "")
    st.markdown(plain(called) if called else "no name yet")
    with st.popover("Name it", icon=":material/edit:", help="Names are kept in inputs/labels, with git."):
        transcoders = documents.models(name).transcoders.fingerprint
        label = f"name-{feature[0]}-{feature[1]}"
        st.text_input(
            "Name",
            value=names.given(transcoders).get(feature, ""),
            max_chars=MAX_NAME,
            key=label,
            on_change=_give,
            args=(feature, transcoders, label),
            help="What the feature stands for, in a few words. Empty takes your name back: a judge's, or "
            "what it promotes, stands there again.",
        )
    problem = st.session_state.pop(_PROBLEM, None)
    if problem:
        st.error(sentence(problem), icon=":material/error:")


def score(name: str, feature: tuple[int, int]) -> None:
    """Draw how well the name tells where the feature fires, where it is a judge's."""
    found = names.judged(name).get(feature)
    if found is None or feature in names.given(documents.models(name).transcoders.fingerprint):
        return
    level = readers.level(name, "names")
    st.caption(
        plain(
            f"Named by {found.judge}: tells {percent(found.balanced_accuracy)} of {count(found.n_contexts)} "
            f"held-out contexts right, {level} {interval(found.low, found.high)}; another feature's name "
            f"{percent(found.shuffled_accuracy)}"
        ),
        help="The judge named it by half of its contexts. Told only the name, it then said of contexts that "
        "it had not seen whether the feature fires on their marked token: in half of them it does, on the "
        "tokens of the others it is silent. Balanced accuracy with its exact interval over the contexts; "
        "chance is 50%. Beside it the same of who is told another feature's name. A judge's name whose "
        "interval is not above both is shown nowhere.",
    )


def _give(feature: tuple[int, int], transcoders: str, label: str) -> None:
    try:
        who = author()
        event = naming(journal.events(), who, feature, transcoders, str(st.session_state[label]))
        append(who, [event], journal.folder())
    except UserError as error:
        st.session_state[_PROBLEM] = str(error)
