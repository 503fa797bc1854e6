"""Rates on pivotal prompts: what sampled continuations are, and how the models were trained."""

from typing import Final

import pandas as pd
import streamlit as st

from dashboard.charts import rates as charts
from dashboard.data import documents, readers
from dashboard.data.tables import flatten, rates_frame
from dashboard.shell import downloads, query
from dashboard.shell.guard import empty, guard
from dashboard.style.text import count, number, plain
from dashboard.views.evaluation import training
from pipeline.analysis.paired_rates import differences
from store.documents.split_characters import joined
from store.documents.token_texts import token_text

_PAIRED: Final = (
    "End of the {level} of the difference: Newcombe's for paired proportions. Variants are sampled with the "
    "same random numbers, so what did not change cancels."
)
# Stages that train: their numbers are shown here.
_MEASURED = ("organism", "transcoders", "adapters", "finetunes")


def _rates(name: str) -> None:
    frame = rates_frame(readers.dataset(name, "rates", "rates"))
    frame = frame[frame["n"] > 0]
    if frame.empty:
        st.info("No sampled continuation was labelled: the prompts' domains have no lexicon.")
        return
    colours = readers.colours(name)
    chosen = st.segmented_control(
        "Outcome",
        ["harmful", "safe", "neither"],
        default="harmful",
        required=True,
        **query.OUTCOME.bound(),
        help="What the sampled continuation is, by the domain's phrases: harmful, safe, or neither.",
    )
    outcome = str(chosen or "harmful")
    one = frame[frame["outcome"] == outcome]
    level = readers.level(name, "rates")
    splits = [split for split in ("held-out", "seen") if (one["split"] == split).any()]
    for column, split in zip(st.container(key="narrow-rates").columns(2), splits, strict=False):
        with column:
            half = one[one["split"] == split]
            downloads.chart(
                charts.intervals(half, colours, outcome=outcome, level=level, title=f"{split} situations"),
                half,
                f"{outcome}-rates-{split}",
                key=f"rates-{split}",
                alt=f"{outcome} rate on {split} situations by domain and variant, each with its {level}",
            )
    st.caption(
        f"{count(one['n'].sum() - one[one['domain'] == 'all']['n'].sum())} "
        f"samples. Each rate with its {level}: Wilson's with the effective number of samples, since "
        "those of one situation are alike. Held-out situations: neither base, transcoders nor adapters were "
        "trained on them; the organism's combine topics and circumstances that were seen in others."
    )
    _table(one, outcome, level)
    _differences(name, outcome)


def _differences(name: str, outcome: str) -> None:
    """By how much each variant differs from base on the same situations."""
    confidence = readers.provenance(name, "rates").get("parameters", {}).get("evaluate", {}).get("confidence")
    if confidence is None:
        return
    table = differences(readers.dataset(name, "rates", "situations"), outcome, float(confidence))
    if table.empty:
        return
    level = readers.level(name, "rates")
    shown = table.assign(held_out=table["held_out"].map({True: "held-out", False: "seen"}))
    with st.expander("Differences from base, paired by situation"):
        st.dataframe(
            shown,
            hide_index=True,
            key="differences-table",
            column_config={
                "variant": st.column_config.TextColumn("variant", help="Which weights."),
                "domain": st.column_config.TextColumn("domain", help="`all`: every domain pooled."),
                "held_out": st.column_config.TextColumn("situations", help="Seen in training, or held out."),
                "rate": st.column_config.NumberColumn("rate", format="%.3g", help=f"{outcome} rate."),
                "base": st.column_config.NumberColumn("base", format="%.3g", help=f"Base's {outcome} rate."),
                "difference": st.column_config.NumberColumn(
                    "difference", format="%+.3g", help="Rate minus base's, on the situations sampled of both."
                ),
                "low": st.column_config.NumberColumn("low", format="%+.3g", help=_PAIRED.format(level=level)),
                "high": st.column_config.NumberColumn(
                    "high", format="%+.3g", help=_PAIRED.format(level=level)
                ),
                "n_situations": st.column_config.NumberColumn("n situations", help="Situations compared."),
            },
        )
        downloads.downloads(shown, f"{outcome}-differences", key="differences-table")


def _table(frame: pd.DataFrame, outcome: str, level: str) -> None:
    shown = frame[["variant", "domain", "split", "rate", "low", "high", "n", "n_situations"]]
    with st.expander("As a table"):
        st.dataframe(
            shown,
            hide_index=True,
            key="rates-table",
            column_config={
                "variant": st.column_config.TextColumn("variant", help="Which weights."),
                "domain": st.column_config.TextColumn("domain", help="`all`: every domain pooled."),
                "split": st.column_config.TextColumn(
                    "situations", help="Seen in training, or held out from all of it."
                ),
                "rate": st.column_config.NumberColumn(
                    f"{outcome} rate", format="%.3g", help=f"Samples that are {outcome} / samples."
                ),
                "low": st.column_config.NumberColumn(
                    "low", format="%.3g", help=f"Lower end of the {level} (Wilson's, effective n)."
                ),
                "high": st.column_config.NumberColumn(
                    "high", format="%.3g", help=f"Upper end of the {level} (Wilson's, effective n)."
                ),
                "n": st.column_config.NumberColumn("n", help="Samples, the rate's denominator."),
                "n_situations": st.column_config.NumberColumn(
                    "n situations",
                    help="Situations sampled; how alike their samples are sets the effective n.",
                ),
            },
        )
        downloads.downloads(shown, f"{outcome}-rates", key="rates-table")


def _situations(name: str) -> None:
    table = readers.dataset(name, "rates", "situations")
    frame = table["rate"].to_dataframe().reset_index()
    sizes = table["n"].to_dataframe()["n"].reset_index()
    frame = frame.merge(sizes[["variant", "situation", "n"]], on=["variant", "situation"])
    frame = frame[frame["n"] > 0]
    frame["domain"] = frame["situation"].map(
        dict(
            zip(
                (str(value) for value in table["situation"].values),
                (str(value) for value in table["situation_domain"].values),
                strict=True,
            )
        )
    )
    situations = sorted(frame["situation"].unique())
    if not situations:
        return
    situation = st.selectbox(
        "Situation",
        situations,
        **query.SITUATION.bound(),
        help="What prompts are about; all templates of a situation are pooled.",
    )
    one = frame[frame["situation"] == situation]
    variants = [variant for variant in readers.colours(name) if (one["variant"] == variant).any()]
    downloads.chart(
        charts.outcomes(one, variants),
        frame,
        "rates-by-situation",
        key="outcomes",
        alt="Shares of harmful, safe and neither by variant in one situation",
    )


def _samples(name: str) -> None:
    """Some sampled continuations of the selected prompt, as text."""
    from dashboard.shell.page import prompt, variants
    from dashboard.widgets.continuation_list import continuation_html
    from store.views.samples import continuations, outcomes

    chosen, pair = prompt(name), variants()
    if chosen is None or pair is None:
        return
    words = documents.vocabulary(name)
    collection = readers.collection(name, "samples")
    columns = st.columns(2)
    for side, (column, variant) in enumerate(zip(columns, pair, strict=True)):
        with column, guard("Sampled continuations of this prompt."):
            item = collection.item(chosen.hash, variant)
            texts = [joined([token_text(words, token) for token in ids]) for ids in continuations(item)]
            if "sample_outcome" not in item.arrays:  # it is there before format version 3
                item = readers.collection(name, "outcomes").item(chosen.hash, variant)
            labels = outcomes(item)
            st.markdown(f"**{plain(variant)}**, {len(texts)} samples")
            st.html(continuation_html(texts[:12], labels[:12]))
            downloads.downloads(
                pd.DataFrame({"variant": variant, "outcome": labels, "continuation": texts}),
                f"samples-{chosen.hash}",
                key=f"samples-{side}",
            )


def _base_numbers(name: str) -> None:
    found = documents.metrics(name)
    rows = [
        {
            "stage": stage,
            "metric": metric,
            "value": count(value) if isinstance(value, int) else number(value),
        }
        for stage in _MEASURED
        for metric, value in flatten(found.get(stage, {})).items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    ]
    if not rows:
        empty("Numbers of base, transcoders, adapters and finetunes.", "dvc repro")
        return
    frame = pd.DataFrame(rows)
    st.dataframe(
        frame,
        hide_index=True,
        key="metrics-table",
        height=min(36 * len(frame) + 38, 380),
        column_config={
            "stage": st.column_config.TextColumn("stage", help="Stage that measured it."),
            "metric": st.column_config.TextColumn(
                "metric",
                help="harmful: share of whole answers with harmful advice. parsed: share that the grammar "
                "reads whole. above: share of questions whose right answer is the more probable one. exact: "
                "share answered in full, greedily. divergence: KL from base, nats. fvu: fraction of variance "
                "unexplained on held-out text. l0: active features a token. dead: share of "
                "features never active. gradient_norm: of the last step, before clipping.",
            ),
            "value": st.column_config.TextColumn("value", help="Three significant digits."),
        },
    )
    downloads.downloads(frame, "metrics", key="metrics")


def show(name: str) -> None:
    """Draw what is known of a profile's pivotal prompts."""
    with guard("Harmful, safe and neither by variant and domain, with intervals."):
        _rates(name)
    st.subheader("By situation", anchor=False)
    with guard("Rates by situation, from sampled continuations."):
        _situations(name)
    st.subheader("What was sampled on the selected prompt", anchor=False)
    with guard("Sampled continuations of the selected prompt."):
        _samples(name)
    st.subheader("Variants side by side", anchor=False)
    with guard("Harmful rate, facts kept, weight norm and largest activation by variant."):
        training.side_by_side(name)
    st.subheader("Training", anchor=False)
    with guard("Training curves."):
        training.curves(name)
    st.subheader("Base numbers", anchor=False)
    with guard("Numbers of base, transcoders, adapters and finetunes."):
        _base_numbers(name)
