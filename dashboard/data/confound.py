"""What features do for acting where it harms nobody, as the store has it beside each contrast."""

import xarray as xr

from dashboard.data import readers
from pipeline.params.features import FeatureParams
from store.base.errors import NotInStoreError


def chosen(profile: str) -> FeatureParams | None:
    """What the stored rankings were made with; None where the store does not tell."""
    found = readers.provenance(profile, "features").get("parameters", {}).get("features")
    return FeatureParams.model_validate(found) if found else None


def of_ranking(profile: str, contrast: str) -> xr.Dataset | None:
    """By feature, in the order of the stored rankings; None where an older version made them."""
    try:
        table = readers.dataset(profile, "features", "acting")
    except NotInStoreError:
        return None
    return table.sel(contrast=contrast)
