"""What features do for acting where it harms nobody, as the store has it beside each contrast."""

from pathlib import Path

import streamlit as st
import xarray as xr

from dashboard.data import readers
from dashboard.data.project import artifact, fresh
from pipeline.params.features import FeatureParams
from store.base.errors import NotInStoreError
from store.datasets.groups import open_dataset
from store.schema.features import FEATURES


def chosen(profile: str) -> FeatureParams | None:
    """What the stored rankings were made with; None where the store does not tell."""
    found = readers.provenance(profile, "features").get("parameters", {}).get("features")
    return FeatureParams.model_validate(found) if found else None


@st.cache_resource(max_entries=2, show_spinner=False)
def _acting(path: str, key: str, contrast: str) -> xr.Dataset:
    return open_dataset(Path(path), "acting").sel(contrast=contrast).load()


def of_ranking(profile: str, contrast: str) -> xr.Dataset | None:
    """By feature, in the order of the stored rankings; None where an older version made them."""
    try:
        return fresh(artifact(profile, FEATURES.kind), lambda path, key: _acting(path, key, contrast))
    except NotInStoreError:
        return None
