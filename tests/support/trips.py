"""How often a reader of object storage has to wait for it, counted and not timed."""

from collections import Counter
from typing import Any

import pytest

from store.remote.places import ObjectFiles


class Trips:
    """How often a reader had to wait for the service before it could ask on.

    A blocking read is one. What Zarr awaits together counts by files: of one file, a part that is asked for
    when no other is on its way is one more (an index at its end, then chunks). No clock is looked at.
    """

    def __enter__(self) -> "Trips":
        self.blocking = 0
        self.phases: Counter[str] = Counter()
        self.asked: Counter[tuple[str, int]] = Counter()
        self.under_way: Counter[str] = Counter()
        read, read_all, part = ObjectFiles.read, ObjectFiles.read_all, ObjectFiles.part

        def counted(one: Any) -> Any:
            def asks(*arguments: Any) -> Any:
                self.blocking += 1
                return one(*arguments)

            return asks

        async def counted_part(files: ObjectFiles, name: str, start: int, stop: int) -> bytes:
            self.phases[name] += self.under_way[name] == 0
            self.asked[name, start] += 1
            self.under_way[name] += 1
            try:
                return await part(files, name, start, stop)
            finally:
                self.under_way[name] -= 1

        self._patch = pytest.MonkeyPatch()
        self._patch.setattr(ObjectFiles, "read", counted(read))
        self._patch.setattr(ObjectFiles, "read_all", counted(read_all))
        self._patch.setattr(ObjectFiles, "part", counted_part)
        return self

    def __exit__(self, *_: object) -> None:
        self._patch.undo()

    def of(self, *groups: str) -> int:
        """All of them, groups being read one after the other."""
        return self.blocking + sum(
            max((n for name, n in self.phases.items() if f"/{group}/" in name), default=0) for group in groups
        )
