"""The widgets of the Steering page that say which features to turn, how and where."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal

import streamlit as st

from dashboard.data import documents, names, readers
from dashboard.shell import forms, history, query, selection, url
from dashboard.style.text import feature_name, named, number, plain, shorten, visible
from pipeline.interventions.kinds import KINDS, Intervention, Mode, Setting, Where
from pipeline.labels.feature_names import Feature
from store.base.errors import StoreError

_MODES: Final[tuple[Mode, ...]] = ("set", "add", "multiply", "ablate", "inhibit")
"""Those that take no number from another pass."""
MAX_FEATURES: Final = 6
_WHERE: Final[dict[str, Where | Literal["positions"]]] = {
    "last token": "last",
    "chosen positions": "positions",
    "all tokens": "prompt",
    "generated": "generated",
    "always on": "always",
}


def _options(name: str, variant: str) -> list[str]:
    """Features to offer: the strongest of the ranking, toward harm and toward safety."""
    try:
        contrasts = readers.contrasts(name)
        wanted = [f"evil-safe|{variant}", f"evil-safe|{selection.get(query.B)}"]
        contrast = next((one for one in wanted if one in contrasts), contrasts[0])
        strongest = readers.ranking(name, contrast, "all")["feature"]
    except (StoreError, IndexError):
        return []
    return [*strongest.head(40), *strongest.tail(10)]


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
    wanted = st.session_state.pop("_steer", None)
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


def choose_features(name: str, variant: str) -> list[tuple[int, int]]:
    """Pick the features to turn; those the model does not have are said and left out."""
    offered = _options(name, variant)
    called = names.of_features(name)
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


def position_names(tokens: Sequence[str]) -> list[str]:
    """Positions of a prompt as lists and links have them."""
    return [f"{position} {visible(token)}" for position, token in enumerate(tokens)]


def _choose_positions(label: str, tokens: list[str]) -> list[int]:
    """Positions of the prompt at which a feature is turned; another prompt keeps those it has."""
    key = query.POSITIONS.key(label)
    names = position_names(tokens)
    if key not in st.session_state:
        absent = [name for name in url.given_all(key) if name not in ["", *names]]
    else:
        absent = []
        if st.session_state.get(f"_{key}") != names:
            # The browser still shows the other prompt's: what is set here replaces it.
            kept = [int(position) for position in st.session_state[key]]
            absent = [str(position) for position in kept if position >= len(tokens)]
            st.session_state[key] = [position for position in kept if position < len(tokens)]
    st.session_state[f"_{key}"] = names
    if absent:
        st.warning(
            plain(f"Position “{shorten(absent[0], 30)}” is not in this prompt; it was left out."),
            icon=":material/link_off:",
        )
    chosen = st.multiselect(
        "Positions",
        list(range(len(tokens))),
        default=[len(tokens) - 1],
        format_func=names.__getitem__,
        **query.POSITIONS.bound(label),
        help="Positions of the prompt, 0-based; BOS is 0.",
    )
    return sorted(int(position) for position in chosen)


def _range(mode: Mode, top: float) -> tuple[float, float, float]:
    """Lowest and highest value of a mode's slider, and where it begins."""
    if mode == "multiply":
        return -4.0, 8.0, 2.0
    if mode == "inhibit":
        return 0.0, 8.0, 1.0
    return (-2 * top if mode == "add" else 0.0), 4 * top, top


class NotShownError(Exception):
    """A setting that these widgets cannot show; the message says why."""


def widget_values(setting: Setting, largest: Callable[[int, int], float]) -> dict[str, Any]:
    """What the widgets' state must be for `choose_intervention` to say each step of a setting again.

    Parameters
    ----------
    setting
        What is done.
    largest
        Largest activation of a feature, by layer and index: it decides how far sliders reach.

    Raises
    ------
    NotShownError
        The page has no widgets for it.
    """
    steps = [one for one in setting if isinstance(one, Intervention)]
    names = [one.name for one in steps]
    if len(steps) < len(setting):
        raise NotShownError("it adds a direction, for which this page has no slider.")
    if len(steps) > MAX_FEATURES:
        raise NotShownError(f"it turns {len(steps)} features, and this page at most {MAX_FEATURES}.")
    if len(set(names)) < len(names):
        raise NotShownError("it turns one feature twice, and this page once.")
    values: dict[str, Any] = {query.STEER.key(): names}
    for one in steps:
        if one.mode not in _MODES or isinstance(one.value, tuple):
            raise NotShownError(f"{one.name} takes its values from elsewhere.")
        values[query.MODE.key(one.name)] = one.mode
        if KINDS[one.mode].valued:
            low, high, _ = _range(one.mode, largest(one.layer, one.feature))
            if not low <= one.value <= high:
                raise NotShownError(
                    f"{one.name}: {number(one.value)} is beyond its slider, {number(low)} to {number(high)}."
                )
            values[query.VALUES[one.mode].key(one.name)] = one.value
        place = one.where if isinstance(one.where, str) else "positions"
        values[query.WHERE.key(one.name)] = next(words for words, where in _WHERE.items() if where == place)
        if not isinstance(one.where, str):
            values[query.POSITIONS.key(one.name)] = list(one.where)
    return values


def linked_values(values: Mapping[str, Any], tokens: Sequence[str]) -> dict[str, list[str]]:
    """What the link says of `widget_values` on a prompt of these tokens."""
    names = position_names(tokens)
    linked = {}
    for key, value in values.items():
        if key.startswith(f"{query.POSITIONS.name}-"):
            linked[key] = [names[position] for position in value if position < len(names)]
        else:
            linked[key] = [str(one) for one in (value if isinstance(value, list) else [value])]
    return linked


def _choose_value(label: str, mode: Mode, top: float) -> float:
    """How much; it begins where it does something, so that before and after differ at once."""
    low, high, start = _range(mode, top)
    is_factor = mode in ("multiply", "inhibit")
    if is_factor:
        words = (
            "What the activation is multiplied by; 1 leaves it as it is."
            if mode == "multiply"
            else "The activation becomes minus so many times itself; 0 ablates it."
        )
    else:
        words = f"It begins at the largest activation seen on held-out text, about {number(top)}."
    return float(
        st.slider(
            "Factor" if is_factor else "Activation",
            low,
            high,
            value=start,
            step=0.1,
            **query.VALUES[mode].bound(label),
            help=words,
        )
    )


def choose_intervention(name: str, feature: tuple[int, int], tokens: list[str]) -> Intervention | None:
    """A feature's widgets: how, how much and where; None where no position is chosen."""
    layer, index = feature
    label = f"L{layer}/{index}"
    top = readers.largest_activation(name, *feature)
    called = names.of_features(name).get(feature)
    columns = st.columns([1, 2.2], vertical_alignment="center")
    columns[0].markdown(f"#### {plain(label)}")
    columns[1].caption(plain(called or ""))
    mode = st.segmented_control(
        "How",
        label_visibility="collapsed",
        options=_MODES,
        default="add",
        required=True,
        **query.MODE.bound(label),
        help=" ".join(f"{mode}: {KINDS[mode].words}." for mode in _MODES),
    )
    value = _choose_value(label, mode, top) if KINDS[mode].valued else 0.0
    where = st.segmented_control(
        "Where",
        list(_WHERE),
        default="last token",
        required=True,
        **query.WHERE.bound(label),
        help="last token of the prompt; chosen positions; all prompt tokens but BOS; generated: every token "
        "after the prompt; or always on: both.",
        label_visibility="collapsed",
    )
    place = _WHERE[str(where)]
    if place == "positions":
        positions = _choose_positions(label, tokens)
        if not positions:
            st.warning(
                plain(f"No position is chosen for {label}, so it is not turned. Choose one above."),
                icon=":material/warning:",
            )
            return None
        place = tuple(positions)
    return Intervention(layer=layer, feature=index, mode=mode, value=value, where=place)
