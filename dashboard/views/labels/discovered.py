"""Finding further prompts: what its rounds came to, what it took, and the button that stops it."""

from collections.abc import Mapping
from typing import Final

import pandas as pd
import streamlit as st

from dashboard.charts import discovery as charts
from dashboard.data import discovery, documents, project
from dashboard.live import models
from dashboard.shell import downloads, query
from dashboard.shell.guard import guard
from dashboard.style.text import count, number, percent, plain, share_interval
from pipeline.analysis.found_prompts import STATUSES, funnel, prompt_map, reasons, yields
from pipeline.params.project import Params
from store.documents.discovery import Discovery

_MOST: Final = 500
"""Prompts on the map: the latest, beside those of the profile."""
_LENGTH: Final = 90
"""Characters of a prompt that stand beside another one."""
_COMMAND: Final = "python -m pipeline.discover"
_MEANING: Final[Mapping[str, str]] = {
    "fit": "An evil and a safe token are among the candidates of base and focus variant: a prompt.",
    "failed": "A good idea whose next token does not decide: its rule says why.",
    "rejected": "It broke a rule before a model read it, or a judge finds it unfit.",
    "unjudged": "No judge answered; the next run asks again.",
}


@st.fragment
def show(name: str) -> None:
    """Draw what was found; nothing is run from here."""
    with (
        st.expander("Discover: prompts that were drafted, and what they came to"),
        guard("What finding further prompts came to.", command=f"{_COMMAND} {name}"),
    ):
        found = discovery.discovery(name)
        if found is None:
            st.markdown(
                f"`{_COMMAND} {name}` drafts prompts whose next token may be safe or harmful, and keeps "
                "those on which the models' candidates and the judges say so, in "
                "`inputs/prompts/generated.jsonl`."
            )
            return
        drafts = discovery.drafts(found)
        _running(name)
        _figures(found, drafts)
        if drafts.empty:
            st.caption("No draft has come to anything yet.")
            return
        params = _params()
        _rounds(found, drafts)
        _yields(drafts, params)
        _table(name, drafts)
        if params is not None:
            _map(name, drafts, params)


def _params() -> Params | None:
    """Parameters; None where there are none, or they are malformed, which the page has said then."""
    try:
        return models.params() if (project.root() / "params.yaml").exists() else None
    except models.NotLiveError:
        return None


def _running(name: str) -> None:
    runs, stops = discovery.runs(name), discovery.stops(name)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.button(
            "Look again",
            icon=":material/refresh:",
            key="discover-again",
            help="Reads what is on the disk now: drafts are there as soon as they have come to something.",
        )
        if runs and not stops:
            st.button(
                "Stop",
                icon=":material/stop:",
                key="discover-stop",
                on_click=discovery.stop,
                args=(name,),
                help="The program stops before its next step. What was found stays, and it can be run again.",
            )
        says = (
            "It stops."
            if runs and stops
            else "It runs."
            if runs
            else f"It does not run; `{_COMMAND} {name}` goes on."
        )
        st.caption(says)


def _figures(found: Discovery, drafts: pd.DataFrame) -> None:
    cost, calls = (
        sum(each.cost for each in found.ended.values()),
        sum(each.calls for each in found.ended.values()),
    )
    fit = 0 if drafts.empty else int((drafts["status"] == "fit").sum())
    silent = sum(each.status != "written" for each in found.ended.values())
    st.caption(
        f"{count(len(found.begun))} rounds, {count(len(drafts))} drafts, {count(fit)} fit; "
        f"{count(calls)} calls for {number(cost)}"
        + (f"; rounds without a usable answer: {count(silent)}." if silent else "."),
        help="Calls of the generator and of judges about its drafts, in all runs, and what they cost at the "
        "prices of params.yaml; a round counts when it has ended. Fit prompts are among those above at once, "
        "to be labelled; `dvc repro` traces them.",
    )


def _rounds(found: Discovery, drafts: pd.DataFrame) -> None:
    table = funnel(drafts, sorted(found.begun))
    long = table.drop(columns="drafts").melt("round", list(STATUSES), "status", "drafts")
    fit = table["found"].iloc[-1]
    downloads.chart(
        charts.rounds(long[long["drafts"] > 0]),
        table,
        "discovery-rounds",
        key="discovery-rounds",
        alt=f"Drafts of {len(table)} rounds by what they came to; {fit} are fit.",
    )


def _yields(drafts: pd.DataFrame, params: Params | None) -> None:
    left, right = st.columns(2)
    if params is not None:
        table = yields(drafts, params.labels.confidence)
        shown = table.assign(
            share=table["share"].map(percent),
            interval=[
                share_interval(low, high) for low, high in zip(table["low"], table["high"], strict=True)
            ],
        )
        with left:
            _small(
                shown[["generator", "kind", "drafts", "fit", "share", "interval"]],
                "discovery-yield",
                {
                    "generator": "Who drafted: templates, or a model of `judges`.",
                    "kind": "A plain text, a chat, or a chat whose assistant reasons before it answers.",
                    "drafts": "Drafts that have come to something, those that nobody judged left out.",
                    "fit": _MEANING["fit"],
                    "share": "Of the drafts, those that are fit.",
                    "interval": f"Wilson's {percent(params.labels.confidence)} interval of the share, as if "
                    "drafts were independent.",
                },
            )
    with right:
        _small(
            reasons(drafts),
            "discovery-reasons",
            {
                "rule": "The first rule that a draft broke.",
                "kind": "As beside.",
                "drafts": "How many broke it.",
            },
        )


def _small(frame: pd.DataFrame, name: str, helps: Mapping[str, str]) -> None:
    if frame.empty:
        st.caption("No draft broke a rule.")
        return
    columns = {column: st.column_config.Column(column, help=said) for column, said in helps.items()}
    st.dataframe(
        frame, hide_index=True, key=name, height=downloads.table_height(len(frame)), column_config=columns
    )
    downloads.downloads(frame, name, key=name)


def _table(name: str, drafts: pd.DataFrame) -> None:
    state = st.selectbox(
        "What they came to",
        ["all", *STATUSES],
        **query.DISCOVERED.bound(),
        help=" ".join(f"{status}: {said}" for status, said in _MEANING.items()),
    )
    chosen = drafts if state == "all" else drafts[drafts["status"] == state]
    known = documents.prompts(name)
    shown = chosen.assign(
        text=chosen["text"].str.split().str.join(" "),
        traced=chosen["prompt_hash"].isin(list(known)),
    )[
        [
            "round",
            "kind",
            "status",
            "rule",
            "detail",
            "evil",
            "safe",
            "divergent",
            "traced",
            "domain",
            "situation",
            "text",
        ]
    ]
    shown = shown.iloc[::-1].reset_index(drop=True)
    helps = {
        "round": "The round that drafted it; the latest is first.",
        "kind": "Text, chat, or reasoning before an answer.",
        "status": "What it came to; the field above says what each means.",
        "rule": "The first rule that it broke.",
        "detail": "How.",
        "evil": "Candidates of base and focus variant that people, or else judges, label evil.",
        "safe": "Candidates that they label safe.",
        "divergent": "An evil token is among the focus variant's candidates, and none among base's.",
        "traced": "Whether the pipeline has it: `dvc repro` reads the prompt files.",
        "domain": "What the prompt is of.",
        "situation": "What it is about.",
        "text": "The draft, white space shortened.",
    }
    st.dataframe(
        shown,
        hide_index=True,
        key=f"discovered-{state}",
        height=downloads.table_height(len(shown)),
        column_config={column: st.column_config.Column(column, help=said) for column, said in helps.items()},
    )
    st.caption(f"{count(len(shown))} of {count(len(drafts))} drafts.")
    downloads.downloads(shown, "discovered", key="discovered")


def _map(name: str, drafts: pd.DataFrame, params: Params) -> None:
    """Fit prompts and good ideas among those of the profile: what is covered, and what is close to what."""
    known = {prompt.hash: prompt for prompt in documents.prompts(name).values()}
    new = drafts[drafts["status"].isin(["fit", "failed"]) & ~drafts["prompt_hash"].isin(list(known))]
    old = pd.DataFrame(
        [{"status": "in the profile", "domain": p.domain or "", "text": p.text} for p in known.values()],
        columns=["status", "domain", "text"],
    )
    frame = (
        pd.concat([old, new[["status", "domain", "text"]]], ignore_index=True)
        .tail(_MOST)
        .reset_index(drop=True)
    )
    laid = prompt_map(frame["text"].tolist(), params.discover.ngram)
    texts = [" ".join(text.split()) for text in frame["text"]]
    frame = frame.assign(
        x=laid.places[:, 0],
        y=laid.places[:, 1],
        similarity=laid.similarity,
        nearest=[texts[other][:_LENGTH] if other >= 0 else "" for other in laid.nearest],
        text=texts,
    )
    st.markdown("**What is covered**")
    downloads.chart(
        charts.map_of_prompts(frame),
        frame,
        "discovery-map",
        key="discovery-map",
        alt=f"{len(frame)} prompts, those that share much with each other side by side.",
    )
    st.caption(
        plain(
            f"The latest {count(len(frame))} prompts: those that share more runs of {params.discover.ngram} "
            "characters lie closer (Jaccard index; classical scaling, whose two axes keep "
            f"{percent(laid.kept)} of the spread). An axis by itself means nothing. More than "
            f"{number(params.discover.near)} in common is refused as a near duplicate."
        )
    )
