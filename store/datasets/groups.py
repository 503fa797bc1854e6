"""Dense artifacts: groups of ordinary labelled arrays, such as statistics tables."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from store.base.atomic import published_folder
from store.base.errors import OLDER, NotInStoreError, UnknownFormatError
from store.format.arrays import TABLES_LEVEL, write_array
from store.format.artifact import METADATA, open_artifact, seal_group, seal_root
from store.format.validation import check_dataset
from store.remote.origins import bring_like
from store.schema.registry import DATASETS
from store.schema.specs import DatasetSchema

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr


def write_dataset(
    path: Path,
    schema: DatasetSchema,
    groups: "Mapping[str, xr.Dataset]",
    *,
    provenance: Mapping[str, Any],
) -> None:
    """Write a dense artifact and publish it whole.

    Parameters
    ----------
    path
        Folder that it takes the place of.
    schema
        Kind of the artifact; `groups` must have exactly its groups and arrays.
    groups
        Datasets by group name. A lazy variable's values are asked for a shard at a time.
    provenance
        What they were computed from; plain JSON.

    Raises
    ------
    InvalidItemError
        A group or array that does not follow the schema.
    OSError
        The disk is full, say; what was at `path` stays.
    """
    check_dataset(groups, schema)
    with published_folder(path) as folder:
        records = {}
        for group, specs in schema.groups.items():
            for name, spec in specs.items():
                variable = groups[group].variables[name]
                write_array(
                    folder / group,
                    name,
                    variable.values if spec.dtype == "str" else _Parts(variable),
                    dims=spec.dims,
                    attributes={"unit": spec.unit, "meaning": spec.meaning},
                    level=TABLES_LEVEL,
                )
            records[group] = seal_group(folder / group)
        seal_root(
            folder,
            kind=schema.kind,
            attributes={"layout": "dataset"},
            provenance=provenance,
            groups=records,
        )


class _Parts:
    """A variable's values a part at a time: those of a lazy one are never there as a whole."""

    def __init__(self, variable: "xr.Variable") -> None:
        self.shape: tuple[int, ...] = variable.shape
        self.dtype: np.dtype[Any] = variable.dtype
        self._variable = variable

    def __getitem__(self, part: tuple[slice, ...]) -> "np.ndarray":
        values: np.ndarray = self._variable[part].values
        return values


def open_dataset(path: Path, group: str) -> "xr.Dataset":
    """Open a group of a dense artifact; arrays are read, with checks, when used.

    Raises
    ------
    ArtifactMissingError
        There is nothing at `path`.
    UnknownFormatError
        A format version newer than this code, or no dense artifact.
    NotInStoreError
        It has no such group; perhaps it is older than the group.
    DamagedArtifactError
        Now or when an array is read: a file is missing, truncated or altered.
    """
    import xarray as xr
    from xarray.core import indexing

    from store.datasets.lazy_array import LazyArray

    artifact = open_artifact(path, ahead=group)
    if artifact.kind not in DATASETS:
        raise UnknownFormatError(
            f"{path} holds `{artifact.kind}`, which is no dataset; use `open_collection`."
        )
    schema = DATASETS[artifact.kind]
    if group not in artifact.groups:
        # All groups are written, so one that the schema has and the artifact lacks came later.
        why = f": {OLDER}" if group in schema.groups else f"; it has {', '.join(artifact.groups)}."
        raise NotInStoreError(f"{path} has no group {group}{why}")
    files = artifact.group_files(group)
    variables = {}
    for name in schema.at(artifact.version).groups[group]:
        reader = artifact.reader(group, name, files)
        text = reader.dtype.kind == "T"
        if text or reader.dims == (name,):  # coordinates are small, and an index needs them
            (values,) = artifact.read([(reader, None)])
            # Python's own strings: pandas and JSON know them, numpy's variable ones less so.
            data: Any = values.astype(object) if text else values
        else:
            data = indexing.LazilyIndexedArray(LazyArray(reader, artifact))
        variables[name] = xr.Variable(reader.dims, data, reader.attributes)
    coordinates = {name: variables.pop(name) for name in list(variables) if name in _dims(variables)}
    return xr.Dataset(variables, coordinates)


def read_provenance(path: Path) -> dict[str, Any]:
    """What an artifact, collection or dataset, was computed from.

    Raises
    ------
    ArtifactMissingError, UnknownFormatError, DamagedArtifactError
        As for the functions that open it.
    """
    bring_like(path / METADATA)  # who asks it of one artifact asks it of the others
    return dict(open_artifact(path).provenance)


def _dims(variables: "Mapping[str, xr.Variable]") -> set[str]:
    return {str(dim) for variable in variables.values() for dim in variable.dims}
