"""Arrays of an item that are read when first asked for."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np


class ArraysOnDemand(Mapping[str, np.ndarray]):
    """Arrays by name, like those of an `Item`; the first use of one reads all of its family.

    A family is what the part of the name before the first underscore says: ``node_layer``
    comes with ``node_kind``, since one is seldom wanted without the other.
    """

    def __init__(self, names: Sequence[str], read: Callable[[Sequence[str]], Sequence[np.ndarray]]) -> None:
        """Read nothing yet.

        Parameters
        ----------
        names
            Names of all arrays.
        read
            Reads some of them, together.
        """
        self._names = tuple(names)
        self._read = read
        self._found: dict[str, np.ndarray] = {}

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._found:
            family = [other for other in self._names if _family(other) == _family(name)]
            self._found.update(zip(family, self._read(family), strict=True))
        return self._found[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _family(name: str) -> str:
    return name.split("_")[0]
