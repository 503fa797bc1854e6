"""Steering: what happens when a feature is turned up."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

import pandas as pd
import streamlit as st

from dashboard.charts import steering as charts
from dashboard.data import documents, names, project, readers
from dashboard.live import models, workbench
from dashboard.live.models import NotLiveError
from dashboard.live.workbench import Bench
from dashboard.pages import STEERING
from dashboard.shell import downloads, query, selection
from dashboard.shell.guard import guard, message
from dashboard.shell.page import head, profile, prompt
from dashboard.style.text import count, interval, named, number, plain, sentence, token_chips
from dashboard.style.theme import ADAPTED
from dashboard.views.steering import (
    continuations,
    distribution,
    doses,
    feature_choice,
    feature_controls,
    judges,
    recipes,
    watched,
)
from dashboard.views.steering.token_choice import Tokens
from dashboard.widgets import typed_prompt
from pipeline.analysis.next_token import FEWEST
from pipeline.interventions.kinds import Intervention
from pipeline.text.token_labels import TokenLabels
from store.documents.token_texts import token_text
from store.documents.variants import BASE
from store.schema.vocabulary import FROZEN, NOTHING

if TYPE_CHECKING:
    from pipeline.interventions.results import NextToken


SCROLLS: Final = 2
"""Features whose widgets fit beside the chart; more of them scroll in a box of `_BOX` pixels."""
_BOX: Final = 620


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """What is steered: stored ids, or typed text, whose labels are its domain's alone.

    `other` is the variant that stands beside, empty where there is none.
    """

    variant: str
    other: str
    source: tuple[int, ...] | str
    domain: str | None
    prompt_hash: str = ""


def _variants(name: str) -> list[str]:
    return ["base", *(f"{adapter}@1.0" for adapter in documents.models(name).adapters)]


def _other(name: str, variant: str) -> str:
    """The variant that stands beside: base, or beside base the adapted one that is selected."""
    if variant != BASE:
        return BASE
    loadable = [each for each in _variants(name) if each != BASE]
    focus = [documents.focus(name)]
    wanted = [selection.get(query.B), selection.get(query.A), *focus, *loadable]
    return next((each for each in wanted if each in loadable), "")


def _choose(name: str) -> _Asked:
    left, right = st.columns([1, 3], vertical_alignment="bottom")
    variant = left.selectbox(
        "Steer which weights",
        _variants(name),
        **query.STEERED.bound(),
        help="Steering base with features of the adapted model shows whether they suffice.",
    )
    other = _other(name, str(variant))
    stored = prompt(name) if project.made(name, "prompts.json") else None
    if typed_prompt.chosen(right, use="is steered as it stands.") or stored is None:
        left, right = st.columns([3, 1.2], gap="medium")
        text, domain = typed_prompt.fields(left, right, name, stored)
        return _Asked(variant=str(variant), other=other, source=text, domain=domain)
    st.html(f'<div style="line-height:1.75;font-family:monospace">{token_chips(stored.tokens)}</div>')
    return _Asked(
        variant=str(variant),
        other=other,
        source=stored.token_ids,
        domain=stored.domain,
        prompt_hash=stored.hash,
    )


def _known(name: str, words: list[str]) -> Tokens:
    """All tokens of the profile's model, before any was asked for logits."""
    return Tokens(texts=words, size=documents.models(name).model.vocab_size)


def _frozen() -> str:
    """What stays as it is, for every feature and control."""
    return str(
        st.segmented_control(
            "Frozen",
            FROZEN,
            default=NOTHING,
            required=True,
            **query.STEERED_STILL.bound(),
            help="What stays as it is without steering: scales of norms, attention patterns, outputs of all "
            "MLPs, or all of these: then only direct effects are left. It holds for the prompt and a token "
            "that is continued from; tokens that are sampled are read freely.",
        )
    )


@st.fragment
def _steer(name: str, loaded: Bench, asked: _Asked) -> None:
    words = documents.vocabulary(name)
    known = readers.labels(name) if project.made(name, "lexicon.json") else TokenLabels()
    labels = known.of(asked.prompt_hash, asked.domain)
    left, right = st.container(key="narrow-steer").columns([1, 1.25], gap="medium")
    with left:
        bench, setting = _setting(name, loaded, asked, words)
    with right:
        result = _distribution(name, bench, setting, words, labels)
    if result is None:
        return
    sides = {"before": result.baseline_logits, "after": result.steered_logits}
    beside = workbench.beside_logits(bench)
    if beside is not None:
        sides["other"] = beside
    tokens = Tokens(texts=words, size=len(result.baseline_logits))
    picked = watched.show(bench, sides, tokens, labels)
    doses.show(bench, setting, picked, tokens, labels)
    offered = watched.offered(result.baseline_logits, labels)
    continuations.show(name, bench, setting, asked.domain, offered, tokens)


def _setting(name: str, loaded: Bench, asked: _Asked, words: list[str]) -> tuple[Bench, list[Intervention]]:
    """Widgets that say what is done: what is frozen, which features are turned and how."""
    tokens = [token_text(words, token) for token in loaded.ids]
    features = feature_choice.choose_features(name, asked.variant)
    bench = replace(loaded, frozen=_frozen())
    setting = []
    with st.container(height=_BOX if len(features) > SCROLLS else "content", border=False):
        for feature in features:
            with st.container(border=True):
                one = feature_controls.choose_intervention(
                    name, feature, tokens, asked.other, partial(workbench.borrow, bench)
                )
            if one is not None:
                setting.append(one)
    if not features:
        st.caption("Choose a feature to turn.")
    recipes.offer_to_save(name, asked.variant, setting, bench.frozen, _known(name, words))
    return bench, setting


def _distribution(
    name: str, bench: Bench, setting: list[Intervention], words: list[str], labels: Mapping[int, str]
) -> "NextToken | None":
    """Draw the distribution on all sides; what was measured, None where it could not be."""
    started = time.perf_counter()
    try:
        result = workbench.next_token(bench, setting)
        beside = workbench.beside_logits(bench)
    except NotLiveError as error:
        st.error(sentence(str(error)), icon=":material/error:")
        return None
    seconds = time.perf_counter() - started
    for one in result.inactive:
        st.warning(
            plain(f"{one.name} is not active there: to {one.mode} it does nothing. Use set or add instead."),
            icon=":material/info:",
        )
    chosen_of = {label: [token for token, of in labels.items() if of == label] for label in ("evil", "safe")}
    if not any(chosen_of.values()):
        st.caption(judges.NOT_LABELLED)
    row = st.container(horizontal=True)
    for label, chosen in chosen_of.items():
        if not chosen:
            continue
        held = distribution.mass_on(result, chosen)
        with row.container(width="content"):
            st.metric(
                f"P({label} tokens)",
                f"{number(held.before)} → {number(held.after)}",
                help=f"Probability that the next token is labelled {label}: before and after steering.",
            )
            st.caption(
                f"like features: {interval(held.low, held.high)}, empirical p = {number(held.p)}",
                help="Where features like the chosen one take it, nine in ten of them, and how often one of "
                "them changes it as much, either way: (1 + count) / (1 + n). A dash where too few are alike.",
            )
    frame = distribution.distribution_frame(result, vocabulary=words, labels=labels, beside=beside)
    other = None
    if beside is not None:
        other = (f"{bench.other}, unsteered", readers.colours(name).get(bench.other, ADAPTED))
    downloads.chart(
        charts.distribution(frame, other),
        frame,
        "steering",
        key="steering",
        alt="Next-token probabilities before and after steering and of the variant beside, with the band of "
        "like features",
    )
    st.caption(f"{_controls(result)} Frozen: {bench.frozen}. {1000 * seconds:.0f} ms.")
    if result.readings:
        _readings(result, names.of_features(name))
    return result


def _controls(result: "NextToken") -> str:
    """What the setting is compared with, in words."""
    n, unmoved = len(result.controls), result.unmoved
    left_out = f" {count(unmoved)} to which the same does nothing are not among them." if unmoved else ""
    if not n:
        return f"No control: nothing is turned in the prompt, or no feature is like what is.{left_out}"
    who = (
        f"{n} features of the same layer, steered alike, that are active there as the chosen one is, or "
        f"inactive as it is: the nearest in activation and norm.{left_out}"
    )
    if n < FEWEST:
        return f"Too few features are like the chosen one for a line of theirs ({FEWEST} are needed): {who}"
    return f"Line with round ends: one more feature like these would lie in it nine times in ten. Of {who}"


def _readings(result: "NextToken", called: Mapping[tuple[int, int], str]) -> None:
    with st.expander("What the turned features did"):
        frame = pd.DataFrame(
            [
                {
                    "feature": named(called, (reading.intervention.layer, reading.intervention.feature)),
                    "positions": ", ".join(str(p) for p in reading.positions),
                    "unsteered": ", ".join(number(v) for v in reading.baseline),
                    "after": ", ".join(number(v) for v in reading.after),
                }
                for reading in result.readings
            ]
        )
        st.dataframe(
            frame,
            hide_index=True,
            key="readings-table",
            column_config={
                "feature": st.column_config.TextColumn("feature", help="Layer and index, and its name."),
                "positions": st.column_config.TextColumn("positions", help="Where it was turned."),
                "unsteered": st.column_config.TextColumn(
                    "unsteered", help="Activation there without any steering."
                ),
                "after": st.column_config.TextColumn("after", help="Activation after steering."),
            },
        )
        downloads.downloads(frame, "readings", key="readings")


def render() -> None:
    """Draw the page."""
    head(STEERING)
    name = profile()
    with guard("Sliders over features, and what they do to the model's next token, live."):
        try:
            models.require(name)
            asked = _choose(name)
            loaded = workbench.bench(name, asked.variant, asked.other, asked.source, NOTHING)
        except NotLiveError as error:
            st.info(sentence(message(error)), icon=":material/power_off:")
            return
        words = documents.vocabulary(name)
        tokens = [token_text(words, token) for token in loaded.ids]
        recipes.show_saved(name, _variants(name), asked.prompt_hash, tokens, _known(name, words))
        _steer(name, loaded, asked)


render()
