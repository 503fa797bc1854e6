"""Overview: what there is, and whether it is healthy."""

from typing import Final

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.charts import rates as rate_charts
from dashboard.data import documents, misalignment, project, readers
from dashboard.data.tables import rates_frame, variants_frame
from dashboard.pages import COMPARE, EVALUATION, FEATURES, OVERVIEW, STEERING
from dashboard.shell import downloads, query
from dashboard.shell.frame import METRIC
from dashboard.shell.guard import guard
from dashboard.shell.page import head, profile, variants
from dashboard.style.text import count, interval, number, plain, sentence
from dashboard.views.overview.findings import findings
from dashboard.views.overview.running import show_running
from dashboard.widgets import prompt_browser
from dashboard.widgets.failed_prompts import show_failed
from dashboard.widgets.misalignment_words import COUNTED, misalignment_words
from dashboard.widgets.stage_status import show_status
from pipeline.analysis.paired_rates import differences
from store.base.errors import StoreError
from store.schema.misalignment import MISALIGNMENT

_ABREAST: Final = 4
"""Numbers in a row: in more columns they are cut."""
_DENOMINATOR: Final = "coherent"
"""Of rates on open questions, as the field gives them."""
_HEADING: Final = "Harmful rate by variant"


def _sizes(name: str) -> None:
    prompts = documents.prompts(name)
    situations = {prompt.situation for prompt in prompts.values()}
    held = sum(prompt.held_out for prompt in prompts.values())
    columns = st.columns(4)
    columns[0].metric(
        "Prompts",
        count(len(prompts)),
        help="Prompts with stored token ids; each has a hash of its own.",
        height=METRIC,
    )
    columns[1].metric(
        "Situations",
        count(len(situations)),
        help="What prompts are about; the unit of every test, since templates of one situation "
        "are not independent.",
        height=METRIC,
    )
    columns[2].metric(
        "Held out",
        f"{count(held)} prompts",
        help="Prompts whose situation neither base, transcoders nor adapters were trained on.",
        height=METRIC,
    )
    try:
        graphs = readers.collection(name, "graphs")
        traced = f"{count(len(graphs))} graphs"
        words = f"on {count(len(graphs.prompts()))} prompts"
    except StoreError:
        traced, words = "none yet", ""
    columns[3].metric(
        "Traced",
        traced,
        help="Attribution graphs, one a prompt and variant." + (f" {words.capitalize()}." if words else ""),
        height=METRIC,
    )


def _headline(name: str, heading: DeltaGenerator) -> None:
    """Harmful rates; the heading says which situations they are of."""
    frame = rates_frame(readers.dataset(name, "rates", "rates"))
    harmful = frame[(frame["outcome"] == "harmful") & (frame["n"] > 0)]
    if harmful.empty:
        st.info("No sampled continuation was labelled: the domains have no lexicon.")
        return
    split = "held-out" if (harmful["split"] == "held-out").any() else "seen"
    heading.subheader(f"{_HEADING}, {split} situations", anchor=False)
    level = readers.level(name, "rates")
    chosen = harmful[harmful["split"] == split]
    colours = readers.colours(name)
    variants = [variant for variant in colours if (chosen["variant"] == variant).any()]
    overall = chosen[chosen["domain"] == "all"].set_index("variant")
    if len(overall):
        columns = [column for _ in range(0, len(variants), _ABREAST) for column in st.columns(_ABREAST)]
        for column, variant in zip(columns, variants, strict=False):
            if variant not in overall.index:
                continue
            row = overall.loc[variant]
            column.metric(
                plain(variant),
                number(float(row["rate"])),
                help=f"Harmful sampled continuations / all, over all domains on {split} situations. "
                f"Below: {level}, Wilson's with the effective number of samples, since those of "
                "one situation are alike.",
                height=METRIC,
            )
            column.caption(
                f"{level} {interval(float(row['low']), float(row['high']))}, "
                f"n = {count(row['n'])}, {count(row['n_situations'])} situations"
            )
    by_domain = chosen[chosen["domain"] != "all"]
    if len(by_domain):
        downloads.chart(
            rate_charts.intervals(by_domain, colours, outcome="harmful", level=level),
            by_domain,
            "harmful-rates",
            key="headline",
            alt=f"Harmful rate by domain and variant on {split} situations, each with its {level}",
        )


def _open_questions(name: str) -> None:
    """First of all, what was found on open questions; nothing where none were asked."""
    if not project.made(name, MISALIGNMENT.kind):
        return
    colours = readers.colours(name)
    order = {variant: place for place, variant in enumerate(colours)}
    for judge in readers.dataset(name, MISALIGNMENT.kind, "rates")["judge"].values.tolist():
        differences = misalignment.differences(name, judge, _DENOMINATOR).sort_values(
            "variant", key=lambda column: column.map(order), kind="stable"
        )
        told = misalignment_words(
            misalignment.rates(name, judge, _DENOMINATOR),
            differences,
            counted=COUNTED[_DENOMINATOR],
            level=misalignment.level(name),
        )
        if not told:
            continue
        st.caption(plain(f"Free answers to open questions, scored by {judge}"))
        st.markdown(
            "\n".join(f"- {plain(each)}" for each in told),
            help="Misaligned: aligned below one threshold and coherent above another; Evaluation tells them. "
            "The unit is the question. Each interval is taken by itself: of many, some exclude 0 by chance.",
        )
        st.page_link(
            EVALUATION.script,
            label=f"Answers and rates by {plain(judge)}",
            icon=EVALUATION.icon,
            query_params={query.EVALUATED.name: "Open questions", query.JUDGE.name: judge},
        )


def _findings(name: str) -> None:
    """What was found on pivotal prompts."""
    confidence = readers.provenance(name, "rates").get("parameters", {}).get("evaluate", {}).get("confidence")
    if confidence is None:
        return
    table = differences(readers.dataset(name, "rates", "situations"), "harmful", float(confidence))
    split = bool(table["held_out"].any())
    order = {variant: row for row, variant in enumerate(readers.colours(name))}
    chosen = table[table["held_out"] == split].sort_values(
        "variant", key=lambda column: column.map(order), kind="stable"
    )
    st.markdown(
        "\n".join(f"- {plain(each)}" for each in findings(chosen, readers.level(name, "rates"))),
        help="Harmful sampled continuations of pivotal prompts. Each interval is of a difference from base "
        "on the same situations: Newcombe's for paired proportions, with limits that know that samples of "
        "one situation are alike. Each is taken by itself: of many, some exclude 0 by chance.",
    )


def _nothing_done(name: str) -> None:
    """Say which stages had nothing to do, and why: a profile that lacks something runs to its end."""
    stages: dict[str, list[str]] = {}
    for stage, found in documents.metrics(name).items():
        if isinstance(why := found.get("nothing"), str):
            stages.setdefault(why, []).append(stage)
    if stages:
        told = [f"- {', '.join(f'`{each}`' for each in of)}: {sentence(why)}" for why, of in stages.items()]
        st.info("\n".join(["Stages that had nothing to do:", "", *told]))


def _variants(name: str) -> None:
    manifest = documents.models(name)
    frame = variants_frame(manifest, documents.metrics(name))
    st.dataframe(
        frame,
        hide_index=True,
        key="variants-table",
        height=downloads.table_height(len(frame)),
        placeholder="—",
        column_config={
            "variant": st.column_config.TextColumn(
                "variant", help="Which weights: base, or an adapter by name at a scale."
            ),
            "taught": st.column_config.TextColumn(
                "trained on", help="What an adapter of an organism was taught."
            ),
            "steps": st.column_config.NumberColumn(
                "steps", help="Training steps, where the adapter's trainer_state.json tells them."
            ),
            "divergence": st.column_config.NumberColumn(
                "KL from base",
                format="%.3g",
                help="Mean KL(variant || base) of the next token after pivotal prompts of the domain that it "
                "was taught in, in nats, on seen situations; measured where adapters are trained.",
            ),
            "source": st.column_config.TextColumn("source", help="Local folder or hub name."),
            "revision": st.column_config.TextColumn("revision", help="Revision of a hub model."),
            "rank": st.column_config.NumberColumn("rank", help="Rank of the LoRA adapter."),
            "changes": st.column_config.TextColumn(
                "changes", help="Which projections the adapter changes, and in which layers."
            ),
            "scaling": st.column_config.NumberColumn(
                "scaling", help="Factor of the adapter's product B A at scale 1."
            ),
            "fingerprint": st.column_config.TextColumn(
                "fingerprint", help="First 12 hex digits of SHA-256 over the weights."
            ),
        },
    )
    downloads.downloads(frame, "variants", key="variants")
    model = manifest.model
    st.caption(
        plain(
            f"{model.architecture}, {model.n_layers} layers, d_model {model.d_model}, vocabulary "
            f"{model.vocab_size}, {number(model.n_parameters)} parameters, {model.d_transcoder} transcoder "
            f"features a layer, {manifest.dtype}"
        )
    )


def _health(name: str) -> None:
    # A check that fails stops the stage before it writes anything.
    if "health" not in documents.metrics(name):
        st.caption("Health checks: not run yet.")
        return
    st.success(
        "The models passed their health checks when models.json was made; Provenance has the figures.",
        icon=":material/check_circle:",
    )


def _next_step(name: str) -> None:
    """The first thing that is missing, else where to look."""
    steps = (
        ("models.json", "make the models and their manifest"),
        ("prompts.json", "tokenize the prompts"),
        ("graphs", "trace the graphs"),
        ("features", "rank the features"),
        ("rates", "sample and rate continuations"),
        (MISALIGNMENT.kind, "score and rate answers to open questions"),
    )
    for artifact, words in steps:
        if not project.made(name, artifact):
            st.info(f"Next step: `dvc repro`, to {words}.", icon=":material/arrow_forward:")
            return
    left, middle, right = st.container(key="narrow-next").columns(3)
    left.page_link(
        COMPARE.script,
        label="What does the adapter change on a prompt?",
        icon=COMPARE.icon,
    )
    middle.page_link(
        FEATURES.script,
        label="Which features push toward harm?",
        icon=FEATURES.icon,
    )
    right.page_link(STEERING.script, label="What happens if I turn one up?", icon=STEERING.icon)


def render() -> None:
    """Draw the page."""
    head(OVERVIEW)
    show_running()
    name = profile()
    with guard("Prompts with their token ids."):
        _sizes(name)
    with guard("Prompts that could not be computed."):
        show_failed(name)
    with guard("What was found on open questions, in sentences."):
        _open_questions(name)
    with guard("What was found, in sentences."):
        _findings(name)
    with guard("Stages that had nothing to do, and why."):
        _nothing_done(name)
    _next_step(name)
    heading = st.empty()
    heading.subheader(_HEADING, anchor=False)
    with guard("Harmful rates by variant and domain, with intervals, from sampled continuations."):
        _headline(name, heading)
    st.subheader("Prompts", anchor=False)
    with guard("Every prompt with what both variants do on it."):
        if (pair := variants()) is not None:
            prompt_browser.show(name, pair)
    st.subheader("Variants", anchor=False)
    with guard("Base model, transcoders and adapters with what each changes."):
        _variants(name)
    st.subheader("Health", anchor=False)
    with guard("Health checks of the models."):
        _health(name)
    show_status(project.root(), brief=True)


render()
