"""What features do for acting where it harms nobody: of the stored graphs of the prompts with that tag."""

from typing import Final

import streamlit as st

from dashboard.data import documents, readers
from dashboard.data.project import artifact, made, stamp
from pipeline.analysis.confound import Acting, acting
from pipeline.analysis.scores import feature_key, read_of
from pipeline.params.features import FeatureParams
from store.collections.reader import open_collection
from store.schema.labels import LABELS
from store.schema.rankings import ranking_group

_MADE_OF: Final = ("features", "graphs", LABELS.kind, "lexicon.json", "prompts.json")


def chosen(profile: str) -> FeatureParams | None:
    """What the stored rankings were made with; None where the store does not tell."""
    found = readers.provenance(profile, "features").get("parameters", {}).get("features")
    return FeatureParams.model_validate(found) if found else None


@st.cache_resource(max_entries=8, show_spinner="Reading what features do on neutral prompts")
def _acting(profile: str, key: str, contrast: str) -> Acting | None:
    params = chosen(profile)
    if params is None or params.confound_tag is None or not made(profile, "graphs"):
        return None
    ranking = readers.dataset(profile, "features", ranking_group("direct"))
    graphs = open_collection(artifact(profile, "graphs"))
    parameters = readers.provenance(profile, "features")["parameters"]
    return acting(
        {prompt: graphs.variants(prompt) for prompt in graphs.prompts()},
        lambda prompt, variant: graphs.item(prompt, variant, read_of("direct")),
        list(documents.prompts(profile).values()),
        readers.labels(profile),
        feature_key(ranking["layer"].values, ranking["index"].values),
        params,
        int(parameters.get("runtime", {}).get("seed", 0)),
        contrast=contrast,
    )


def of_ranking(profile: str, contrast: str) -> Acting | None:
    """By feature, in the order of the stored rankings; None where no tag is named, or nothing was traced."""
    key = "-".join(stamp(artifact(profile, name)) for name in _MADE_OF)
    return _acting(profile, key, contrast)
