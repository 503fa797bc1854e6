"""What a schema is made of: arrays with dims, dtype, unit, meaning and format versions."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

FORMAT_VERSION: Final = 10
"""Version that is written; every version from 1 on is read."""
SETTINGS_SINCE: Final = 8
"""First version whose collections tell an item's setting; before it, nothing was done to any model."""


@dataclass(frozen=True, kw_only=True)
class ArraySpec:
    """One array. `dims` in storage order; ``()`` for an item's scalar.

    `since` is the first format version that has it: artifacts of earlier ones lack it. `until`
    is the last one; None: it is still written.
    """

    dims: tuple[str, ...]
    dtype: str
    unit: str
    meaning: str
    since: int = 1
    until: int | None = None


@dataclass(frozen=True, kw_only=True)
class CollectionSchema:
    """A kind of ragged collection: its arrays and its items' scalars, by name.

    `former` are arrays that earlier format versions had and that are written no more.
    """

    kind: str
    arrays: dict[str, ArraySpec]
    scalars: dict[str, ArraySpec]
    former: dict[str, ArraySpec] = field(default_factory=dict)

    def at(self, version: int) -> "CollectionSchema":
        """The schema as it was in a format version: without what came later, with what was given up."""
        arrays = _known({**self.former, **self.arrays}, version)
        return replace(self, arrays=arrays, scalars=_known(self.scalars, version), former={})


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
    """The same arrays, as ones that came with this format version, or with their own later one."""
    return {name: replace(spec, since=max(version, spec.since)) for name, spec in specs.items()}


def until(version: int, specs: Mapping[str, ArraySpec]) -> dict[str, ArraySpec]:
    """The same arrays, as ones that no format version after this one has."""
    return {name: replace(spec, until=version) for name, spec in specs.items()}


def _known(specs: Mapping[str, ArraySpec], version: int) -> dict[str, ArraySpec]:
    return {
        name: spec
        for name, spec in specs.items()
        if spec.since <= version and (spec.until is None or version <= spec.until)
    }
