"""Compare's view of the adapter: what does it write to?"""

import pandas as pd
import streamlit as st

from dashboard.charts import adapters as charts
from dashboard.data.case import Case
from dashboard.graph.score_tables import contrasts_on
from dashboard.shell import downloads, query, url
from dashboard.shell.guard import guard
from dashboard.style.node_names import Words
from dashboard.style.text import number, percent, plain
from dashboard.views.compare import feature_buttons
from dashboard.views.compare.graph_tab import words_of
from dashboard.views.compare.write_words import cause_frame, feature_frame
from pipeline.analysis.adapter_writes import change_on, layer_writes, logit_writes
from pipeline.analysis.node_scores import TargetContrasts
from store.views.adapter import AdapterView

_SCORES = {"direct": "direct", "total effect": "total_effect"}


@st.fragment
def show(case: Case) -> None:
    """Draw what the pair's adapted variant writes to on this prompt."""
    adapted = [variant for variant in reversed(case.pair) if variant != "base"]
    if not adapted:
        st.info(
            "Base has no adapter; choose an adapted variant in the sidebar.", icon=":material/search_off:"
        )
        return
    with guard("The adapter's writes on features and logits, and each logit's change by cause."):
        view = case.adapter(adapted[0])
        words = words_of(case)
        targets = view.targets
        asked = contrasts_on(
            view.item.arrays["target_token"], targets["centred_change"].abs().to_numpy(), words
        )
        one = _overview(view, asked)
        _causes(case, view, words)
        left, right = st.container(key="narrow-writes").columns(2, gap="medium")
        features = feature_frame(view, words)
        with left:
            _by_layer(case, features)
        with right:
            _on_logits(case, view, one)
        _on_features(case, features)
    url.write()


def _overview(view: AdapterView, asked: TargetContrasts) -> TargetContrasts:
    """Headline figures of a contrast, and the contrast that is chosen."""
    columns = st.columns([1.15, 1, 1, 1], vertical_alignment="top")
    name = columns[0].selectbox(
        "Change of",
        asked.names,
        **query.WRITTEN_ON.bound(),
        help="The mean over evil minus the mean over safe candidates' centred logits, or one candidate's.",
    )
    one = asked.only(str(name))
    whole, pattern = change_on(view, one)
    columns[1].metric(
        "Change (logits)",
        number(whole, sign=True),
        help="Centred logits (minus the mean over the vocabulary, before any softcap) at the last position, "
        f"{plain(view.variant)} minus base.",
    )
    columns[2].metric(
        "of it through q and k",
        number(pattern, sign=True),
        help="Logits of the adapted model minus those with base's attention patterns put in: the share of "
        "the query and key adapters, which change only where attention looks. Graphs freeze the pattern, so "
        "no node holds it; among the causes below it shows as changed features, tokens and constants.",
    )
    columns[3].metric(
        "Error nodes' share",
        percent(view.error_share_of_change),
        help="|change by error nodes| / sum over causes of |change by the cause|, mean over candidates. "
        "Large: base's dictionary does not explain what the adapter does.",
    )
    return one


def _causes(case: Case, view: AdapterView, words: Words) -> None:
    st.markdown(
        "**Each candidate's change, by cause**",
        help="The change of a centred logit is the sum of the adapter nodes' direct effects and of the "
        "change of the feature, token, error and constant columns: an identity. Attention passes through "
        "base's value and output weights here, so that what their adapters add stands alone. Errors are "
        "without the adapter.",
    )
    frame = cause_frame(view, words)
    downloads.chart(
        charts.causes(frame),
        frame,
        f"causes-{case.prompt.hash}",
        key="causes",
        alt=f"Change of each candidate's logit from base to {view.variant}, by cause",
    )
    n = len(view.targets)
    shown = frame["token"].nunique()
    cut = f" The {shown} candidates that change most of {n}." if shown < n else ""
    st.caption(f"Diamond: the whole change.{cut}")


def _by_layer(case: Case, features: pd.DataFrame) -> None:
    st.markdown(
        "**By layer: writes on features**",
        help="Sum over a layer's features of the absolute direct effect of some adapter nodes on their "
        "pre-activations, each feature summed over positions first. Attention comes before the MLP, so its "
        "adapter reaches features of its own layer; those of the MLP reach later ones.",
    )
    if features.empty:
        st.caption("It writes on no active feature: only on logits.")
        return
    frame = layer_writes(features)
    downloads.chart(
        charts.layers(frame),
        frame,
        f"layers-{case.prompt.hash}",
        key="write-layers",
        alt="How much the adapter of each layer writes on the features of each layer",
    )


def _on_logits(case: Case, view: AdapterView, one: TargetContrasts) -> None:
    st.markdown(
        f"**On logits: {plain(one.names[0])}**",
        help="What all adapter nodes of a part and layer do to the centred logits, summed over positions and "
        "components. direct: A[logit, node]. total effect: direct effects composed along all paths.",
    )
    score = st.segmented_control(
        "Score",
        list(_SCORES),
        default="total effect",
        required=True,
        **query.WRITE_SCORE.bound(),
        label_visibility="collapsed",
    )
    frame = logit_writes(view, one)
    column = _SCORES[str(score)]
    downloads.chart(
        charts.logits(frame.assign(effect=frame[column]), title=f"{score} (logits)"),
        frame,
        f"logits-{case.prompt.hash}",
        key="write-logits",
        alt=f"What the adapter of each layer does to {one.names[0]}",
    )


def _on_features(case: Case, features: pd.DataFrame) -> None:
    if features.empty:
        return
    st.markdown(
        "**By feature: the strongest writes**",
        help="Direct effects of a layer's adapter nodes of one part on the feature's pre-activation, signed, "
        "summed over positions. Choose a row for the feature's card.",
    )
    chosen = st.dataframe(
        features,
        hide_index=True,
        height=322,
        key="writes-table",
        on_select="rerun",
        selection_mode="single-row",
        column_order=["feature", "part", "origin_layer", "write", "activation"],
        column_config={
            "feature": st.column_config.TextColumn(
                "feature", help="What is written to: layer and index, and its name."
            ),
            "part": st.column_config.TextColumn(
                "from",
                help="down: LoRA on down_proj. hidden: adapted gate and up projections. attention: adapted "
                "value and output projections.",
            ),
            "origin_layer": st.column_config.NumberColumn("of layer", help="Layer of the adapter nodes."),
            "write": st.column_config.NumberColumn(
                "write", format="%+.3g", help="Direct effect on the pre-activation, summed over positions."
            ),
            "activation": st.column_config.NumberColumn(
                "activation",
                format="%.3g",
                help="The feature's activation in the adapted model, summed over positions.",
            ),
        },
    )
    rows = chosen.selection.rows
    row = features.iloc[rows[0] if rows and rows[0] < len(features) else 0]
    feature_buttons.show(case, row, features, key="write", file="writes")
