"""Which features the Steering page turns: of the ranking, by name, from a card or the link."""

from collections.abc import Mapping, Sequence
from typing import Final

import pandas as pd
import streamlit as st

from dashboard.data import documents, names, readers
from dashboard.shell import forms, history, query, selection, url
from dashboard.style.text import feature_name, named, plain, shorten
from dashboard.widgets import chosen_feature
from pipeline.labels.feature_names import Feature
from store.base.errors import StoreError

MAX_FEATURES: Final = 12


def _options(name: str, variant: str) -> list[str]:
    """Features to offer: the strongest of the ranking, toward harm and toward safety."""
    try:
        contrasts = readers.contrasts(name)
        wanted = [f"evil-safe|{variant}", f"evil-safe|{selection.get(query.B)}"]
        contrast = next((one for one in wanted if one in contrasts), contrasts[0])
        strongest = readers.ranking(name, contrast, "all")[["layer", "index"]]
    except (StoreError, IndexError):
        return []
    ends = pd.concat([strongest.head(40), strongest.tail(10)])
    return [feature_name(layer, index) for layer, index in zip(ends["layer"], ends["index"], strict=True)]


def _with_name(text: str, called: Mapping[Feature, str]) -> str:
    """A feature as the list shows it, and the link says it; what is typed and is none stays as it is."""
    feature = forms.parse_feature(_bare(text))
    if feature is None:
        return text
    shown = shorten(" ".join(named(called, feature).split()), forms.MAX_NAME)
    return shown if forms.is_name(shown) else feature_name(*feature)


def _bare(text: str) -> str:
    """Without the name, which may have been another when the link was made."""
    first = text.split(" ", 1)[0]
    return first if forms.is_feature(first) else text


def _by_name(name: str, text: str, offered: Sequence[str]) -> Feature | None:
    """The feature that a typed part of a name means: the first of those offered, else of all."""
    found = names.called(name, text)
    ranked = [forms.parse_feature(one) for one in offered]
    return next((one for one in ranked if one in found), min(found, default=None))


def _begin(offered: list[str], called: Mapping[Feature, str]) -> None:
    """Choose what the page opens with: the feature that a card sent here, the selected, or the first."""
    wanted = st.session_state.pop(chosen_feature.STEER, None)
    present = [_bare(one) for one in st.session_state.get(query.STEER.name, [])]
    if wanted and wanted not in present:
        room = MAX_FEATURES - 1
        if len(present) > room:
            left_out = ", ".join(present[room:])
            st.info(
                plain(f"{wanted} took the place of {left_out}: at most {MAX_FEATURES} features are turned."),
                icon=":material/swap_horiz:",
            )
        url.choose_first(query.STEER, [*present[:room], wanted], lambda text: _with_name(text, called))
    elif not (history.restores() or query.STEER.name in st.session_state or url.given(query.STEER.name)):
        selected = selection.get(query.FEATURE)
        first = [selected] if selected else offered[:1]
        url.choose_first(query.STEER, first, lambda text: _with_name(text, called))


def _leave_out_too_many() -> None:
    """Keep the first features that the link turns, and say which are left out."""
    key = query.STEER.key()
    asked = url.given_all(key) if key not in st.session_state else []
    if len(asked) > MAX_FEATURES:
        left_out = ", ".join(shorten(_bare(text), 20) for text in asked[MAX_FEATURES:][:3])
        st.warning(
            plain(
                f"The link turns {len(asked)} features, and at most {MAX_FEATURES} are turned at once: "
                f"{left_out}{' and more' if len(asked) > MAX_FEATURES + 3 else ''} were left out."
            ),
            icon=":material/link_off:",
        )
        url.choose_first(query.STEER, asked[:MAX_FEATURES])


def choose_features(name: str, variant: str) -> list[tuple[int, int]]:
    """Pick the features to turn; those the model does not have are said and left out."""
    offered = _options(name, variant)
    called = names.of_features(name)
    _leave_out_too_many()
    _begin(offered, called)
    present = map(_bare, st.session_state.get(query.STEER.name, []))
    chosen = st.multiselect(
        "Features",
        list(dict.fromkeys([*offered, *present])),
        **query.STEER.bound(),
        format_func=lambda text: _with_name(text, called),
        accept_new_options=True,
        max_selections=MAX_FEATURES,
        placeholder="L2/618",
        help="From the ranking, or typed: layer and index, for instance L2/618, or a part of a name.",
    )
    sizes = documents.models(name).model
    good: list[tuple[int, int]] = []
    for text in map(_bare, chosen):
        feature = forms.parse_feature(text) or _by_name(name, text, offered)
        if feature is None:
            st.warning(
                plain(
                    f"“{shorten(text, 40)}” is no feature, and in no name of one; write layer and index, for "
                    "instance L2/618."
                )
            )
        elif feature[0] >= sizes.n_layers or feature[1] >= sizes.d_transcoder:
            st.warning(
                plain(
                    f"There is no feature {text}: layers are 0 to {sizes.n_layers - 1}, features 0 to "
                    f"{sizes.d_transcoder - 1}."
                )
            )
        elif feature not in good:
            good.append(feature)
    return good
