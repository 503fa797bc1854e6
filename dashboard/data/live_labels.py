"""Labels that are newer than the store: how many, and what a ranking is with them."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import streamlit as st
import xarray as xr

from dashboard.data import documents, journal, readers
from dashboard.data.project import artifact, stamp
from dashboard.data.tables import ranking_frame
from pipeline.analysis.live_ranking import WITH_LABELS, KeptScores, live_ranking, variants_of
from pipeline.analysis.pivotal_weights import prompt_weights
from pipeline.analysis.scores import feature_key, read_of
from pipeline.labels.events import RejectionEvent, TokenEvent
from pipeline.labels.resolution import HUMAN
from pipeline.labels.resolving import resolve
from pipeline.labels.tables import label_groups, token_labels
from pipeline.params.features import FeatureParams
from pipeline.params.labels import LabelParams
from pipeline.text.token_labels import TokenLabels
from store.base.errors import StoreError, UserError
from store.collections.reader import open_collection
from store.documents.verdicts import VERDICTS
from store.schema.labels import LABELS
from store.schema.pivotality import PIVOTALITY

_MADE_OF: Final = (
    *("candidates", VERDICTS, LABELS.kind, PIVOTALITY.kind),
    *("features", "graphs", "lexicon.json", "prompts.json"),
)


def _key(profile: str) -> str:
    """What the labels of now are of: another key where any of it changed."""
    return "-".join([*(stamp(artifact(profile, name)) for name in _MADE_OF), stamp(journal.folder())])


def _parameters(profile: str, kind: str = LABELS.kind) -> dict[str, Any]:
    found: dict[str, Any] = readers.provenance(profile, kind).get("parameters", {})
    return found


@st.cache_resource(max_entries=4, show_spinner=False)
def _labels(profile: str, key: str) -> TokenLabels:
    """The store's, but for prompts that people have said or had said anything of."""
    stored, params = readers.labels(profile), LabelParams.model_validate(_parameters(profile)["labels"])
    events = journal.events()
    asked = {event.prompt_hash for event in events if isinstance(event, TokenEvent | RejectionEvent)}
    asked |= _labelled_by_people(readers.dataset(profile, LABELS.kind, "candidates"))
    if not asked:
        return stored
    found = resolve(artifact(profile, ""), documents.models(profile), events, params, only=sorted(asked))
    now = token_labels(label_groups(found.labelled, found.raters), stored.lexicon)
    kept = {prompt: of for prompt, of in stored.counted.items() if prompt not in asked}
    return replace(
        now,
        counted=kept | dict(now.counted),
        rejected=(stored.rejected - asked) | now.rejected,
        divergent=(stored.divergent - asked) | now.divergent,
    )


def _labelled_by_people(candidates: xr.Dataset) -> set[str]:
    people = np.char.startswith(candidates["rater"].values.astype(str), HUMAN)
    said = (candidates["rater_label"].values[people] >= 0).any(axis=0)
    return set(candidates["prompt_hash"].values[said].tolist())


@st.cache_resource(max_entries=4, show_spinner=False)
def _newer(profile: str, key: str) -> int:
    stored, now = readers.labels(profile), _labels(profile, key)
    tokens = sum(
        before.get(token) != after.get(token)
        for prompt in stored.counted.keys() | now.counted.keys()
        for before, after in [(stored.counted.get(prompt, {}), now.counted.get(prompt, {}))]
        for token in before.keys() | after.keys()
    )
    return tokens + len(stored.rejected ^ now.rejected)


def newer(profile: str) -> int:
    """How many labels of tokens, and rejections, count now and not in the store; 0 where nobody knows."""
    try:
        return _newer(profile, _key(profile))
    except (StoreError, UserError, KeyError, ValueError):
        return 0


@st.cache_resource(max_entries=2, show_spinner=False)
def _kept(profile: str, key: str, score: str, variants: tuple[str, ...]) -> KeptScores:
    """Of graphs and prompts; whatever labels count, a prompt whose own stay is not scored again."""
    return KeptScores()


def _weights(profile: str, params: FeatureParams) -> dict[str, float] | None:
    """As the stage has them."""
    if not params.by_pivotality:
        return None
    manifest = documents.models(profile)
    prompts = readers.dataset(profile, PIVOTALITY.kind, "prompts")
    return prompt_weights(prompts, str(manifest.variant(manifest.focus)))


# As many as fit beside those of the store: see `readers.ranking`.
@st.cache_resource(max_entries=2, show_spinner="Ranking with the newest labels")
def _ranking(profile: str, key: str, score: str, contrast: str, domain: str) -> pd.DataFrame:
    parameters = _parameters(profile, "features")
    graphs = open_collection(Path(artifact(profile, "graphs")))
    cards = readers.dataset(profile, "features", "cards")
    nulls = parameters["profile"]["nulls"]
    made_of = "-".join(stamp(artifact(profile, name)) for name in ("graphs", "prompts.json"))
    params = FeatureParams.model_validate(parameters["features"])
    table = live_ranking(
        {prompt: graphs.variants(prompt) for prompt in graphs.prompts()},
        lambda prompt, variant: graphs.item(prompt, variant, read_of(score)),
        documents.prompts(profile),
        _labels(profile, key),
        feature_key(cards["layer"].values, cards["index"].values),
        params,
        int(parameters["runtime"]["seed"]),
        nulls,
        score=score,
        contrast=contrast,
        domain=domain,
        kept=_kept(profile, made_of, score, tuple(sorted(variants_of(contrast, nulls)))),
        weights=_weights(profile, params),
    )
    return ranking_frame(table, contrast, domain)


def offered(score: str) -> bool:
    """Whether labels change a score."""
    return score in WITH_LABELS


def ranking(profile: str, contrast: str, domain: str, score: str) -> pd.DataFrame:
    """As `readers.ranking`, with the labels that count now."""
    return _ranking(profile, _key(profile), score, contrast, domain)
