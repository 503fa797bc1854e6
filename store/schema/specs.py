"""What a schema is made of: arrays with dims, dtype, unit, meaning and first format version."""

from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True)
class ArraySpec:
    """One array. `dims` in storage order; ``()`` for an item's scalar.

    `since` is the first format version that has it: artifacts of earlier ones lack it.
    """

    dims: tuple[str, ...]
    dtype: str
    unit: str
    meaning: str
    since: int = 1


@dataclass(frozen=True, kw_only=True)
class CollectionSchema:
    """A kind of ragged collection: its arrays and its items' scalars, by name."""

    kind: str
    arrays: dict[str, ArraySpec]
    scalars: dict[str, ArraySpec]

    def at(self, version: int) -> "CollectionSchema":
        """The schema as it was in a format version: without what came later."""
        return replace(self, arrays=_known(self.arrays, version), scalars=_known(self.scalars, version))


@dataclass(frozen=True, kw_only=True)
class DatasetSchema:
    """A kind of dense artifact: groups of arrays (coordinates included), by name."""

    kind: str
    groups: dict[str, dict[str, ArraySpec]]

    def at(self, version: int) -> "DatasetSchema":
        """The schema as it was in a format version; a group all of later arrays is not there."""
        groups = {name: _known(specs, version) for name, specs in self.groups.items()}
        return replace(self, groups={name: specs for name, specs in groups.items() if specs})


def array(dims: str, dtype: str, unit: str, meaning: str) -> ArraySpec:
    """One array of the first format version; `dims` are names with spaces between them."""
    return ArraySpec(dims=tuple(dims.split()), dtype=dtype, unit=unit, meaning=meaning)


def since(version: int, specs: Mapping[str, ArraySpec]) -> dict[str, ArraySpec]:
    """The same arrays, as ones that came with a later format version."""
    return {name: replace(spec, since=version) for name, spec in specs.items()}


def _known(specs: Mapping[str, ArraySpec], version: int) -> dict[str, ArraySpec]:
    return {name: spec for name, spec in specs.items() if spec.since <= version}
