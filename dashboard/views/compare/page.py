"""Compare: what an adapter changes on one prompt."""

from dataclasses import replace

import streamlit as st

from dashboard.charts import candidates as candidate_chart
from dashboard.data import documents, project, readers
from dashboard.data.case import Case
from dashboard.graph import pruned
from dashboard.live import tracing, typed
from dashboard.live.models import NotLiveError
from dashboard.pages import COMPARE
from dashboard.shell import downloads, query
from dashboard.shell.guard import guard, message
from dashboard.shell.page import head, profile, prompt, variants
from dashboard.style.text import plain, sentence, token_chips
from dashboard.views.compare import adapter_tab, component_tab, decision, dose_tab, graph_tab
from dashboard.views.compare.summary import candidate_frame, largest
from dashboard.views.compare.tabs import COMPONENTS, DOSE, GRAPH, WRITES
from dashboard.widgets import trace_now, typed_prompt
from dashboard.widgets.failed_prompts import show_failures_of
from store.base.errors import StoreError
from store.documents.prompts import Prompt
from store.documents.variants import BASE
from store.views.graph import GraphView


def _known(name: str) -> dict[str, Prompt]:
    """Stored prompts; none where there are none yet."""
    try:
        return documents.prompts(name)
    except StoreError:
        return {}


def _or_traced_now(name: str, chosen: Prompt, pair: tuple[str, str]) -> Prompt | Case:
    """Say once which of the pair this prompt was not traced with; the case, if it is traced now."""
    traced = readers.traced(name, chosen.hash)
    absent = [variant for variant in dict.fromkeys(pair) if variant not in traced]
    if not absent:
        return chosen
    what = " and ".join(dict.fromkeys(pair))
    # Base is traced, too, and adapted variants once more, for what their adapters write.
    adapted = set(pair) - {BASE}
    if not trace_now.asked(name, chosen, what, traces=1 + 2 * len(adapted)):
        _say_untraced(name, chosen, traced, absent)
        return chosen
    try:
        case, seconds = tracing.traced(name, chosen, pair)
    except NotLiveError as error:
        st.error(sentence(message(error)), icon=":material/error:")
        return chosen
    trace_now.status(name, chosen, what, seconds, typed.every_variant_tag)
    return case


def _say_untraced(name: str, chosen: Prompt, traced: list[str], absent: list[str]) -> None:
    focus = documents.focus(name)
    by_label = (
        readers.provenance(name, "graphs").get("parameters", {}).get("graphs", {}).get("trace") == "evil"
    )
    if set(absent) <= {"base", focus} and by_label:
        way_out = (
            "Only prompts are traced on which a judge or a person found an evil candidate (`graphs.trace` of "
            "params.yaml): label one of its candidates evil and run `dvc repro`."
        )
    elif set(absent) <= {"base", focus}:
        way_out = "`dvc repro` traces every prompt of the prompt files with them."
    else:
        way_out = (
            f"{trace_now.tagging(chosen, 'every-variant')} (the tag is `graphs.every_variant_tag` of "
            "params.yaml), and run `dvc repro`; or choose a prompt that the sidebar does not mark."
        )
    with_what = f"with {' and '.join(traced)} only" if traced else "with no variant"
    st.info(
        sentence(
            f"This prompt is traced {with_what}; the store holds no variant {' or '.join(absent)} of it. "
            f"{way_out}"
        ),
        icon=":material/search_off:",
    )


def _is_traced(name: str, prompt_hash: str, pair: tuple[str, str]) -> bool:
    try:
        return set(pair) <= set(readers.traced(name, prompt_hash))
    except StoreError:
        return False


def _chips(prompt: Prompt) -> None:
    st.html(f'<div style="line-height:1.75;font-family:monospace">{token_chips(prompt.tokens)}</div>')


def _text(prompt: Prompt) -> None:
    with st.popover("Text", icon=":material/content_copy:", type="tertiary"):
        st.caption("The prompt as it is.")
        st.code(prompt.text, language=None, wrap_lines=True)
        st.caption(plain(f"hash {prompt.hash}, {len(prompt.token_ids)} tokens, from {prompt.source}"))


def _choose(name: str, pair: tuple[str, str]) -> Prompt | Case | None:
    """The selected prompt, or the case of a typed one, shown as tokens."""
    left, right = st.container(key="narrow-prompt").columns([3, 1.2], gap="medium")
    if not typed_prompt.chosen(right, use="is traced live with both variants, and can be kept."):
        chosen = prompt(name)
        if chosen is None:
            return None
        with left:
            _chips(chosen)
        with right:
            _text(chosen)
        return chosen
    known = _known(name)
    text, domain = typed_prompt.fields(left, right, name, prompt(name) if known else None)
    with left:
        try:
            made = typed.prompt(name, text, domain)
            _chips(made)
            if made.hash in known and _is_traced(name, made.hash, pair):
                chosen = known[made.hash]
                st.caption(plain(f"In the pipeline, from {chosen.source}; shown as it is stored."))
                return replace(chosen, domain=domain)
            case, seconds = tracing.traced(name, made, pair)
        except NotLiveError as error:
            st.error(sentence(message(error)), icon=":material/error:")
            return None
    typed_prompt.status(case, seconds, stored=made.hash in known)
    return case


def render() -> None:
    """Draw the page."""
    head(COMPARE)
    name = profile()
    pair = variants()
    with guard("One prompt and two variants, side by side."):
        if pair is None:
            readers.collection(name, "candidates")
            return
        chosen = _choose(name, pair)
        if chosen is not None:
            _sections(name, pair, chosen)


def _sections(name: str, pair: tuple[str, str], chosen: Prompt | Case) -> None:
    if isinstance(chosen, Prompt):
        with guard("Why this prompt could not be computed."):
            show_failures_of(name, chosen.hash)
    if isinstance(chosen, Prompt) and project.made(name, "graphs"):
        with guard("Which variants this prompt is traced with."):
            chosen = _or_traced_now(name, chosen, pair)
    left, right = st.container(key="narrow-case").columns([1, 2.7], gap="medium")
    with right:
        case = _stored(name, chosen, pair) if isinstance(chosen, Prompt) else chosen
        _tabs(case)
    with left:
        with guard("Both variants' candidate next tokens with their probabilities."):
            _candidates(case)
        with guard("What continuations lead to that begin with each candidate."):
            decision.show(name, case.prompt.hash)
        state_of = "labelled" if case.labels else "without labels: the prompt's domain has no lexicon"
        about = case.prompt.situation if case.prompt.hash in _known(name) else "typed"
        st.caption(plain(f"{case.prompt.domain or 'no domain'}, {about}; tokens {state_of}."))


def _stored(profile: str, prompt: Prompt, pair: tuple[str, str]) -> Case:
    """The case of a stored prompt; what is missing or damaged is explained here and left out."""
    views: dict[str, GraphView] = {}
    with guard("The attribution graphs of both variants on one layout, with hover, pins and live pruning."):
        readers.collection(profile, "graphs")
        traced = readers.traced(profile, prompt.hash)
        for variant in dict.fromkeys(pair):
            if variant in traced:
                with guard("One attribution graph."):
                    views[variant] = readers.graph(profile, prompt.hash, variant)
    return Case(profile=profile, prompt=prompt, pair=pair, graphs=views, live=False)


def _tabs(case: Case) -> None:
    """The graph, and what else there is to say of the adapter; only the open tab is computed."""
    names = [GRAPH, WRITES, COMPONENTS, DOSE]
    shown = st.tabs(names, on_change="rerun", **query.VIEW.bound())
    drawn = (graph_tab.show, adapter_tab.show, component_tab.show, dose_tab.show)
    for tab, draw in zip(shown, drawn, strict=True):
        if tab.open:
            with tab:
                draw(case)


def _candidates(case: Case) -> None:
    pair = case.pair
    words = graph_tab.words_of(case)
    frame = candidate_frame(
        case.targets(pair[0]),
        case.targets(pair[1]),
        variants=pair,
        vocabulary=list(words.vocabulary),
        labels=words.labels,
    )
    colours = readers.colours(case.profile)
    sides = None
    if set(pair) <= set(case.graphs):
        left, right = (
            pruned.prune(case.graphs[variant], colours[variant], node_threshold=1.0, edge_threshold=0.98)
            for variant in pair
        )
        sides = (left, right)
    found = largest(frame, pair, sides, words)
    st.markdown(
        "**Largest differences**",
        help="B minus A: of the evil tokens' probability, of one candidate's probability, and of "
        "one feature node's influence. A feature that one graph's artifact does not hold (too little "
        "influence) counts as 0 there.",
    )
    if not found:
        st.caption("None to show: A and B are the same, or one was not traced on this prompt.")
    for difference in found:
        st.markdown(f"**{difference.value}** {difference.unit}  \n{plain(difference.sentence)}")
    st.markdown(
        "**Candidates**",
        help="The union of both variants' candidate tokens: the most probable next tokens that "
        "together hold 95% of the probability, at most 10 a variant.",
    )
    downloads.chart(
        candidate_chart.paired(frame, pair, colours),
        frame,
        f"candidates-{case.prompt.hash}",
        key="candidates",
        alt=f"Probabilities of candidate tokens in {pair[0]} and {pair[1]}",
    )


render()
