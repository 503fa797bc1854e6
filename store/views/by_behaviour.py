"""What is made behaviour by behaviour, ``by_behaviour/<kind>/<behaviour>``, read as one for all of a profile.

So a behaviour is made, repeated and looked at by itself. Before, all behaviours of a profile shared one
artifact of each kind, ``<kind>``, which is read where there is none by behaviour.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from store.base.errors import ArtifactMissingError
from store.collections.reader import open_collection
from store.collections.union import Union
from store.datasets.groups import open_dataset, read_provenance
from store.remote.origins import origin_of
from store.schema.behaviours import BEHAVIOURS
from store.schema.circuits import BEHAVIOUR_FEATURES, BEHAVIOUR_GRAPHS
from store.schema.forced_answers import FORCED_ANSWERS

if TYPE_CHECKING:
    import xarray as xr

BY_BEHAVIOUR: Final = "by_behaviour"
"""Folder of a profile's artifacts of one behaviour each."""
KINDS: Final = tuple(
    schema.kind for schema in (FORCED_ANSWERS, BEHAVIOURS, BEHAVIOUR_FEATURES, BEHAVIOUR_GRAPHS)
)
"""What lies in it."""


def place(kind: str, behaviour: str) -> str:
    """Where a behaviour's artifact of a kind lies, from the profile's folder."""
    return f"{BY_BEHAVIOUR}/{kind}/{behaviour}"


def parts(folder: Path, kind: str) -> list[Path]:
    """The artifacts of a kind, sorted by behaviour, or the one of all behaviours as it was before.

    Parameters
    ----------
    folder
        The profile's folder of artifacts.
    kind
        One of `KINDS`.

    Raises
    ------
    ArtifactMissingError
        There is none.
    """
    above, former = folder / BY_BEHAVIOUR / kind, folder / kind
    if found := _folders(above):
        return found
    if _folders(former):  # an artifact's groups
        return [former]
    raise ArtifactMissingError(f"{above} does not exist yet; `dvc repro` makes it.")


def open_collections(folder: Path, kind: str) -> Union:
    """Collections of all behaviours as one.

    Raises
    ------
    ArtifactMissingError
        There is none.
    DamagedArtifactError, UnknownFormatError
        One of them cannot be read; the message names it.
    """
    return Union(folder / BY_BEHAVIOUR / kind, [open_collection(path) for path in parts(folder, kind)])


def open_datasets(folder: Path, kind: str, group: str) -> "xr.Dataset":
    """A group of all behaviours' datasets as one, end to end along ``behaviour``, or ``prompt``.

    A variant that one of them lacks, as where an adapter is new and a behaviour was not repeated, counts
    there as not measured: NaN, 0 or false. Raises as `open_collections`.
    """
    import numpy as np
    import xarray as xr

    tables = [open_dataset(path, group) for path in parts(folder, kind)]
    along = "behaviour" if "behaviour" in tables[0].dims else "prompt"
    # What a profile does not name has no rows.
    tables = [table for table in tables if table.sizes[along]] or tables[:1]
    if len(tables) == 1:
        return tables[0]
    variants = list(dict.fromkeys(name for table in tables for name in table["variant"].values.tolist()))
    unknown = {
        name: np.zeros((), array.dtype).item() if array.dtype.kind in "bi" else np.nan
        for name, array in tables[0].data_vars.items()
        if "variant" in array.dims
    }
    joined: xr.Dataset = xr.concat(
        [table.reindex(variant=variants, fill_value=unknown) for table in tables],
        dim=along,
        data_vars="minimal",
        coords="minimal",
        compat="equals",
        join="exact",
    )
    return joined


def provenances(folder: Path, kind: str) -> dict[str, dict[str, Any]]:
    """What each of them was computed from, by the name of its folder. Raises as `open_collections`."""
    return {path.name: read_provenance(path) for path in parts(folder, kind)}


def _folders(folder: Path) -> list[Path]:
    """The folders in a folder, sorted, on this disk or where it comes from; none where there is no folder."""
    if (found := origin_of(folder)) is not None:
        origin, top = found
        inside = (name.removeprefix(f"{top}/") for name in origin.names(top))
        return sorted({folder / name.partition("/")[0] for name in inside if "/" in name})
    return sorted(path for path in folder.glob("[!.]*") if path.is_dir())
