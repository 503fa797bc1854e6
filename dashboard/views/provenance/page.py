"""Provenance: where a number comes from."""

import pandas as pd
import streamlit as st

from dashboard.data import by_behaviour, documents, lineage, project, readers
from dashboard.data.tables import checks_frame, flatten, layers_frame
from dashboard.pages import PROVENANCE
from dashboard.shell import downloads, query
from dashboard.shell.guard import guard, message
from dashboard.shell.page import head, profile
from dashboard.style.text import plain, sentence
from dashboard.widgets.stage_status import known, show_status
from store.base.errors import ArtifactMissingError, StoreError
from store.schema.registry import COLLECTIONS, DATASETS
from store.views.by_behaviour import KINDS

_STORES = (*COLLECTIONS, *DATASETS)


_GRAPH = 300
"""Height of the graph of stages, pixels: kept free until it is drawn."""
_STATUS = 362
"""Height of what is said of them beside it, pixels; what is longer scrolls."""

_FIGURES = {
    "stream_rms": "Root mean square of the residual stream.",
    "stream_difference": "Largest difference of the stream from Hugging Face's, relative.",
    "max_activation": "Largest transcoder activation.",
    "active_per_token": "Active features a token.",
    "reconstruction": "Size of the transcoder's output relative to the MLP's.",
    "unexplained": "Share of the MLP output's variance that the transcoder leaves unexplained.",
}


def _stages(name: str) -> None:
    try:
        stages = lineage.read_stages(project.root(), name)
    except ArtifactMissingError:
        st.caption("There is no dvc.yaml in this project's root: the pipeline's stages are not known.")
        return
    stale = set(known(project.root()).stages)
    st.graphviz_chart(lineage.dot(stages, stale, profile=name), width="stretch", height=_GRAPH)
    frame = lineage.frame(stages, stale)
    with st.expander("Stages as a table"):
        st.dataframe(
            frame,
            hide_index=True,
            key="stages-table",
            column_config={
                "stage": st.column_config.TextColumn("stage", help="As DVC names it.", pinned=True),
                "state": st.column_config.TextColumn(
                    "state",
                    help="ran, stale (data or parameters that it was made from changed), code changed "
                    "(somewhere: stage code tells whom that concerns as it runs), or not run.",
                ),
                "from": st.column_config.TextColumn("from", help="Data it was computed from."),
                "to": st.column_config.TextColumn("to", help="What it makes."),
                "code": st.column_config.TextColumn(
                    "code", help="The file that lists the modules it computes with, and digests of them."
                ),
                "command": st.column_config.TextColumn("command", help="What the stage runs."),
            },
        )
        downloads.downloads(frame, "stages", key="stages")


def _stores(name: str) -> None:
    rows = []
    for store in _STORES:
        if not project.made(name, by_behaviour.stored(name, store) if store in KINDS else store):
            rows.append({"artifact": store, "property": "state", "value": "not there"})
            continue
        try:
            # Of a kind that is made behaviour by behaviour, that of each.
            of = by_behaviour.provenances if store in KINDS else readers.provenance
            found = flatten(of(name, store))
        except StoreError as error:
            rows.append({"artifact": store, "property": "state", "value": message(error)})
            continue
        rows.extend({"artifact": store, "property": key, "value": str(value)} for key, value in found.items())
    frame = pd.DataFrame(rows)
    states = frame[frame["property"] == "state"]
    for _, row in states.iterrows():
        if row["value"] != "not there":
            st.error(sentence(row["value"]), icon=":material/broken_image:")
    chosen = st.segmented_control(
        "Artifact",
        list(_STORES),
        default="graphs",
        required=True,
        **query.ARTIFACT.bound(),
        help="A store under the profile's folder; each carries what it was computed from.",
    )
    shown = frame[frame["artifact"] == chosen]
    st.dataframe(
        shown,
        hide_index=True,
        key="provenance-table",
        column_order=["property", "value"],
        column_config={
            "property": st.column_config.TextColumn(
                "property", help="Fingerprints are SHA-256 of weights; versions are of libraries."
            ),
            "value": st.column_config.TextColumn("value", help="As stored beside the arrays.", width="large"),
        },
    )
    downloads.downloads(frame, "provenance", key="provenance")
    st.caption(f"`python -m store verify artifacts/{plain(name)}` finds every damaged artifact.")


def _health(name: str) -> None:
    report = documents.metrics(name).get("health")
    if report is None:
        raise ArtifactMissingError("health.json does not exist yet.")
    layers = layers_frame(report)
    if len(layers):
        st.dataframe(
            layers,
            hide_index=True,
            key="layers-table",
            column_config={
                "variant": st.column_config.TextColumn(
                    "variant", help="Which weights: base, or an adapter by name at a scale."
                ),
                "layer": st.column_config.NumberColumn(
                    "layer", help="Layer of the model, 0 the lowest; its MLP has a transcoder of its own."
                ),
            }
            | {
                name: st.column_config.NumberColumn(name, format="%.3g", help=_FIGURES.get(name, name))
                for name in layers.columns
                if name not in {"variant", "layer"}
            },
        )
        downloads.downloads(layers, "health-by-layer", key="layers")
    frame = checks_frame(report)
    frame = frame[~frame["check"].str.contains(r"\.layers\.")]
    st.dataframe(
        frame,
        hide_index=True,
        key="health-table",
        column_config={
            "check": st.column_config.TextColumn("check", help="What was measured.", width="medium"),
            "detail": st.column_config.TextColumn("detail", help="The figure.", width="large"),
        },
    )
    downloads.downloads(frame, "health", key="health")
    st.caption(
        "The models passed their health checks when models.json was made: a check that fails stops "
        "the stage `models`, which then writes neither."
    )


def _fingerprints(name: str) -> None:
    manifest = documents.models(name)
    parts = {"base": manifest.base, "transcoders": manifest.transcoders, **manifest.adapters}
    frame = pd.DataFrame(
        [
            {
                "part": part,
                "source": source.source,
                "revision": source.revision,
                "fingerprint": source.fingerprint,
            }
            for part, source in parts.items()
        ]
    )
    st.dataframe(
        frame,
        hide_index=True,
        key="fingerprints-table",
        placeholder="—",
        column_config={
            "part": st.column_config.TextColumn("part", help="Base, transcoders or an adapter."),
            "source": st.column_config.TextColumn("source", help="Local folder or hub name."),
            "revision": st.column_config.TextColumn("revision", help="Revision of a hub model."),
            "fingerprint": st.column_config.TextColumn(
                "fingerprint", help="SHA-256 over the weights.", width="large"
            ),
        },
    )
    downloads.downloads(frame, "fingerprints", key="fingerprints")


def render() -> None:
    """Draw the page."""
    head(PROVENANCE)
    name = profile()
    st.subheader("Stages", anchor=False)
    # Side by side: what is stale comes later and may be long, and is to move nothing.
    left, right = st.container(key="narrow-stages").columns([1.9, 1], gap="medium")
    with left, guard("Stages of the pipeline and what each was made from."):
        _stages(name)
    with right.container(height=_STATUS, border=True):
        show_status(project.root(), brief=False)
    st.subheader("Artifacts", anchor=False)
    with guard("What each artifact was computed from: fingerprints, parameters, versions."):
        _stores(name)
    st.subheader("Models", anchor=False)
    with guard("Fingerprints of base, transcoders and adapters."):
        _fingerprints(name)
    st.subheader("Health checks", anchor=False)
    with guard("Health checks of the models."):
        _health(name)


render()
