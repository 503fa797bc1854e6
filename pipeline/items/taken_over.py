"""Tables of which all that they are made of is as it was: they are taken over from the last dataset."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pipeline.items.closure import library_versions
from pipeline.items.code import QualifiedName, code_base
from pipeline.params.runtime import RuntimeParams
from store.base.errors import StoreError
from store.base.hashing import digest
from store.datasets.groups import open_dataset, read_provenance
from store.schema.specs import FORMAT_VERSION

if TYPE_CHECKING:
    import xarray as xr

TABLES: Final = "tables"
"""Where a dataset's provenance tells what its tables were made of, by a name of theirs."""


def made_of(code: Sequence[QualifiedName], runtime: RuntimeParams, inputs: Sequence[Any]) -> str:
    """Digest of all that decides a bit of some tables.

    Parameters
    ----------
    code
        Functions that make them.
    runtime
        Seed and threads.
    inputs
        What these are given, as JSON: content keys, digests of files, parameters.
    """
    return digest(
        [code_base().digest(code), library_versions(), FORMAT_VERSION, runtime.model_dump(), *inputs]
    )


def taken_over(folder: Path, name: str, wanted: str, groups: Iterable[str]) -> "dict[str, xr.Dataset] | None":
    """Groups of the dataset at `folder`, if it tells that they were made of what is wanted; else None.

    One that is damaged, or that is replaced meanwhile, is none.
    """
    try:
        if read_provenance(folder).get(TABLES, {}).get(name) != wanted:
            return None
        return {group: open_dataset(folder, group).load() for group in groups}
    except (StoreError, OSError):
        return None
