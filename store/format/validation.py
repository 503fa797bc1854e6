"""What goes into the store follows its schema, or is refused with the array's name."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from store.base.errors import InvalidItemError
from store.base.hashing import is_prompt_hash
from store.collections.item import UNSTEERED, Item, Scalar
from store.format.arrays import dtype_name
from store.schema.specs import ArraySpec, CollectionSchema, DatasetSchema
from store.schema.vocabulary import FIXED_DIMS

if TYPE_CHECKING:
    import xarray as xr

_KEY: Final = re.compile(r"[0-9a-f]{64}")


def check_item(item: Item, schema: CollectionSchema) -> None:
    """Check an item's identity, names, dtypes and dims.

    Raises
    ------
    InvalidItemError
        Names the item and the array or scalar at fault.
    """
    who = f"{schema.kind}: prompt {item.prompt_hash}, {item.variant}"
    if not is_prompt_hash(item.prompt_hash):
        raise InvalidItemError(f"{who}: the prompt hash is not 12 hex digits.")
    if not item.variant or not item.variant.isprintable():
        raise InvalidItemError(f"{who}: the variant has no printable name.")
    if item.setting != UNSTEERED and not _KEY.fullmatch(item.setting):
        raise InvalidItemError(f"{who}: the setting {item.setting!r} is no recipe's digest, 64 hex digits.")
    if not _KEY.fullmatch(item.key):
        raise InvalidItemError(f"{who}: the key {item.key!r} is not 64 hex digits.")
    _check_names(who, item.arrays, schema.arrays, "array")
    _check_names(who, item.scalars, schema.scalars, "scalar")
    lengths: dict[str, int] = dict(FIXED_DIMS)
    for name, spec in schema.arrays.items():
        _check_array(who, name, item.arrays[name], spec, lengths)
    for name, spec in schema.scalars.items():
        _check_scalar(who, name, item.scalars[name], spec)


def check_dataset(groups: "Mapping[str, xr.Dataset]", schema: DatasetSchema) -> None:
    """Check that a dataset has exactly the schema's groups, each with its arrays.

    Raises
    ------
    InvalidItemError
        Names the group and the array at fault.
    """
    _check_names(schema.kind, groups, schema.groups, "group")
    for group, specs in schema.groups.items():
        who = f"{schema.kind}/{group}"
        dataset = groups[group]
        _check_names(who, {str(name): None for name in dataset.variables}, specs, "array")
        for name, spec in specs.items():
            variable = dataset[name]
            if variable.dims != spec.dims:
                raise InvalidItemError(f"{who}: array {name} has dims {variable.dims}, not {spec.dims}.")
            _check_dtype(who, name, variable.dtype, spec)


def _check_names(who: str, given: Mapping[str, object], wanted: Mapping[str, object], what: str) -> None:
    missing, unknown = sorted(wanted.keys() - given.keys()), sorted(given.keys() - wanted.keys())
    if missing:
        raise InvalidItemError(f"{who}: {what} {', '.join(missing)} missing.")
    if unknown:
        raise InvalidItemError(f"{who}: {what} {', '.join(unknown)} not in the schema.")


def _check_array(who: str, name: str, array: np.ndarray, spec: ArraySpec, lengths: dict[str, int]) -> None:
    if not isinstance(array, np.ndarray):
        raise InvalidItemError(f"{who}: {name} is a {type(array).__name__}, not an array.")
    _check_dtype(who, name, array.dtype, spec)
    if array.ndim != len(spec.dims):
        raise InvalidItemError(f"{who}: array {name} has {array.ndim} dims, not {spec.dims}.")
    for dim, length in zip(spec.dims, array.shape, strict=True):
        if lengths.setdefault(dim, length) != length:
            raise InvalidItemError(
                f"{who}: array {name} has length {length} along {dim}, not {lengths[dim]}."
            )


def _check_dtype(who: str, name: str, dtype: np.dtype[Any], spec: ArraySpec) -> None:
    if dtype_name(dtype) != spec.dtype:
        raise InvalidItemError(f"{who}: array {name} has dtype {dtype}, not {spec.dtype}.")


def _check_scalar(who: str, name: str, value: Scalar, spec: ArraySpec) -> None:
    wanted = (
        str
        if spec.dtype == "str"
        else bool
        if spec.dtype == "bool"
        else float
        if spec.dtype.startswith("float")
        else int
    )
    if type(value) is not wanted:
        raise InvalidItemError(f"{who}: scalar {name} is a {type(value).__name__}, not a {wanted.__name__}.")
    if wanted is int and not np.iinfo(spec.dtype).min <= int(value) <= np.iinfo(spec.dtype).max:
        raise InvalidItemError(f"{who}: scalar {name} is {value}, too large for {spec.dtype}.")
