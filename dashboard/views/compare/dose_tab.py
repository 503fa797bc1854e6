"""Compare's view of dose-response: what happens as the adapter is turned up, or as it is trained."""

import re
from typing import Final

import pandas as pd
import streamlit as st

from dashboard.charts import dose as charts
from dashboard.data import documents, project, readers
from dashboard.data.case import Case
from dashboard.graph.score_tables import contrasts_on
from dashboard.live import models as live
from dashboard.live import tracing, typed
from dashboard.live.models import NotLiveError
from dashboard.shell import downloads, forms, query, selection, url
from dashboard.shell.guard import guard, message
from dashboard.style.node_names import Words, node_labels
from dashboard.style.text import count, feature_name, named, plain, sentence
from dashboard.style.theme import ADAPTED
from dashboard.views.compare.dose_words import SCALES, STEPS, Axis, candidate_frame
from dashboard.views.compare.graph_tab import words_of
from dashboard.widgets import chosen_feature, trace_now
from pipeline.analysis.dose_prompt import (
    Dose,
    edge_responses,
    end_nodes,
    feature_responses,
    most_changed,
    response,
)
from pipeline.analysis.node_scores import EVIL_SAFE, TargetContrasts

_ONSET: Final = (
    " The dashed line is the onset: the first checkpoint at which the interval of the mean over all prompts "
    "with the dose tag lies above base's; Wilson's, a situation counting as one sample."
)
OFFERED = 20
CANDIDATES = 16
MAX_EDGES = 200


@st.fragment
def show(case: Case) -> None:
    """Draw probabilities, and one feature with its edges, against the adapter's scale or training."""
    with guard("Candidates, harmful probability, activations and edges against the adapter's dose."):
        axis = _axis(case)
        # What is traced live has doses of its own; a stored prompt's are where the pipeline puts them.
        stored = not case.live or project.made(case.profile, axis.artifact)
        dosed = readers.dosed(case.profile, axis.artifact) if stored else []
        if case.prompt.hash in dosed:
            _draw(case, readers.doses(case.profile, case.prompt.hash, axis.artifact), axis)
        elif axis is STEPS:
            _elsewhere(case, dosed, axis)
        elif (doses := _traced_now(case, dosed)) is not None:
            _draw(case, doses, axis)


def _axis(case: Case) -> Axis:
    """What the adapter is followed along; the only choice where its training kept nothing."""
    if not documents.models(case.profile).checkpoints:
        return SCALES
    chosen = st.segmented_control(
        "Against",
        [SCALES.name, STEPS.name],
        default=SCALES.name,
        required=True,
        **query.DOSED_BY.bound(),
        help="The adapter as trained, its weights multiplied by a scale; or what it was on its way, by the "
        "checkpoints that its training kept.",
    )
    return STEPS if chosen == STEPS.name else SCALES


def _traced_now(case: Case, dosed: list[str]) -> list[Dose] | None:
    """The doses of a prompt that the pipeline has not traced so, if they are asked for."""
    try:
        scales = live.params().dose.scales
    except NotLiveError:  # nothing can be traced here
        _elsewhere(case, dosed, SCALES)
        return None
    if not trace_now.asked(case.profile, case.prompt, SCALES.each, traces=1 + len(scales)):
        _elsewhere(case, dosed, SCALES)
        return None
    try:
        doses, seconds = tracing.dosed(case.profile, case.prompt)
        kept = None if case.prompt.hash not in documents.prompts(case.profile) else typed.dose_tag
        trace_now.status(case.profile, case.prompt, SCALES.each, seconds, kept)
    except NotLiveError as error:
        st.error(sentence(message(error)), icon=":material/error:")
        return None
    return doses


def _tag(profile: str) -> str:
    """The tag of prompts that are traced at several doses, as the artifact was made with it."""
    if not project.made(profile, "dose"):
        return "dose"
    return str(readers.provenance(profile, "dose").get("parameters", {}).get("dose", {}).get("tag", "dose"))


def _elsewhere(case: Case, dosed: list[str], axis: Axis) -> None:
    st.info(
        sentence(
            f"This prompt is not traced at {axis.each}. {trace_now.tagging(case.prompt, _tag(case.profile))} "
            "(the tag is `dose.tag` of params.yaml), and run `dvc repro`."
        ),
        icon=":material/search_off:",
    )
    if dosed and st.button(
        f"Show one of the {len(dosed)} prompts that are",
        key="show-dosed",
        icon=":material/skip_next:",
        on_click=selection.choose,
        args=(query.PROMPT, dosed[0]),
    ):
        st.rerun()  # the whole page: sidebar, tokens and candidates are of the prompt, too


def _draw(case: Case, doses: list[Dose], axis: Axis) -> None:
    words = words_of(case)
    names = {re.split("[:@]", dose.variant)[0] for dose in doses if dose.dose} or {"base"}
    what = (
        "the difference of its weights from base is multiplied by the scale."
        if axis is SCALES
        else "what it was after so many steps of its training."
    )
    st.caption(
        plain(
            f"The adapter {' and '.join(sorted(names))} at {len(doses)} {axis.one}s on one target set: {what}"
        )
    )
    frame = response(doses, words.labels)
    left, right = st.container(key="narrow-doses").columns([1.1, 1], gap="medium")
    with left:
        st.markdown(
            "**Probability of the next token**",
            help="Sum over the evil and over the safe tokens among the traced targets, the union of the "
            f"candidates of all {axis.one}s.{_ONSET if axis is STEPS else ''}",
        )
        if frame.empty:
            st.caption("Not labelled: the prompt's domain has no lexicon.")
        else:
            downloads.chart(
                charts.response(
                    frame,
                    axis=axis.title,
                    one=axis.one,
                    onset=_onset(case.profile) if axis is STEPS else None,
                ),
                frame,
                f"dose-{case.prompt.hash}",
                key="dose",
                alt=f"Probability of evil and of safe tokens against the adapter's {axis.one}",
            )
        _candidates(case, doses, words, axis)
    with right:
        last = doses[-1].arrays
        asked = contrasts_on(last["target_token"], last["target_probability"], words)
        feature = _feature(case, doses, asked.first(1), words, axis)
    if feature is not None:
        _edges(case, doses, feature, words, axis)
    url.write()


def _onset(profile: str) -> float | None:
    """The first dose at which harmful probability leaves base's, over all tagged prompts; None: never."""
    found = documents.metrics(profile).get("dose", {}).get("onset")
    return None if found is None else float(found)


def _candidates(case: Case, doses: list[Dose], words: Words, axis: Axis) -> None:
    frame = candidate_frame(doses, words, CANDIDATES)
    st.markdown(
        "**Candidates**",
        help=f"The probability of each traced target at every {axis.one}; at most {CANDIDATES}, those that "
        f"are most probable at some {axis.one}.",
    )
    downloads.chart(
        charts.candidates(frame, axis=axis.name, one=axis.one),
        frame,
        f"dose-candidates-{case.prompt.hash}",
        key="dose-candidates",
        alt=f"Probability of each candidate at every {axis.one} of the adapter",
    )


def _edges(case: Case, doses: list[Dose], feature: tuple[int, int], words: Words, axis: Axis) -> None:
    name = feature_name(*feature)
    st.markdown(
        f"**Edges of {plain(named(words.names, feature))}**",
        help=f"Direct effects A[target, source] into and out of the feature at every {axis.one}: "
        f"pre-activation, or logits on a logit. Those that differ most between two {axis.one}s come first. "
        "0 where an end is inactive; — where the artifact does not hold the edge, because it is weak there.",
    )
    edges = edge_responses(doses, *feature)
    if edges.empty:
        st.caption(f"The artifact holds no edge of {plain(name)} at any {axis.one}.")
        return
    amounts = [dose.dose for dose in doses]
    frame = pd.DataFrame(
        {end: node_labels(end_nodes(edges, end), words) for end in ("source", "target")}
        | {f"{amount:g}": edges[amount] for amount in amounts}
    )
    st.dataframe(
        frame.head(MAX_EDGES),
        hide_index=True,
        key="dose-edges",
        placeholder="—",
        height=320,
        column_config={
            "source": st.column_config.TextColumn("source", help="Node that the effect comes from."),
            "target": st.column_config.TextColumn("target", help="Node that it reaches."),
        }
        | {
            f"{amount:g}": st.column_config.NumberColumn(
                f"{amount:g}", format="%+.3g", help=f"A[target, source] in {dose.variant}."
            )
            for amount, dose in zip(amounts, doses, strict=True)
        },
    )
    cut = f"the first {MAX_EDGES} of " if len(frame) > MAX_EDGES else ""
    st.caption(f"Showing {cut}{count(len(frame))} edges that the artifact holds at some {axis.one}.")
    downloads.downloads(frame, f"dose-edges-{case.prompt.hash}-{name.replace('/', '-')}", key="dose-edges")


def _feature(
    case: Case, doses: list[Dose], one: TargetContrasts, words: Words, axis: Axis
) -> tuple[int, int] | None:
    """Draw the chosen feature's responses; None where no feature is active."""
    responses = feature_responses(doses, one)
    offered = most_changed(responses, OFFERED)
    selected = selection.feature()
    known = set(zip(responses["layer"], responses["feature"], strict=True))
    if selected in known and selected is not None:
        offered = [selected, *(feature for feature in offered if feature != selected)]
    if not offered:
        st.caption("No feature is active on this prompt.")
        return None
    key = f"dose-feature-{case.prompt.hash}"
    name = st.selectbox(
        "Feature",
        [feature_name(*feature) for feature in offered],
        key=key,
        format_func=lambda text: named(words.names, forms.parse_feature(text) or offered[0]),
        on_change=_choose_feature,
        args=(key,),
        help="The selected feature, then those whose direct effect differs most between two doses.",
    )
    layer, index = forms.parse_feature(str(name)) or offered[0]
    chosen = responses[(responses["layer"] == layer) & (responses["feature"] == index)]
    on = one.names[0] if one.names[0] == EVIL_SAFE else f"on {one.names[0]}"
    for column, title, meaning in (
        ("activation", "activation", "Transcoder activation, summed over positions; 0 where it is inactive."),
        (
            "direct",
            f"direct, {on} (logits)",
            "Direct effect A[target, feature], signed, summed over positions: mean over evil minus mean over "
            "safe targets, or on the most probable target where there are no labels.",
        ),
    ):
        st.markdown(f"**{plain(title[:1].upper() + title[1:])}**", help=meaning)
        downloads.chart(
            charts.feature(
                chosen, column, title=title.split(",")[0], axis=axis.title, one=axis.one, colour=ADAPTED
            ),
            chosen,
            f"dose-{column}-L{layer}-{index}",
            key=f"dose-{column}",
            alt=f"{column} of {name} against the adapter's {axis.one}",
        )
    chosen_feature.card_button((layer, index), named(words.names, (layer, index)), key="dose-card")
    return layer, index


def _choose_feature(key: str) -> None:
    selection.choose(query.FEATURE, str(st.session_state[key]))
