"""Units that are computed in one batch, and kept one by one."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pipeline.items.units import ItemName, Unit
from store.base.hashing import digest


@dataclass(frozen=True, kw_only=True)
class Batch(Unit):
    """Units with one function and one set of weights, which computes all of them at once.

    Their items keep the names that they have by themselves: who asks for one of them, or for others beside
    it, finds it.

    Attributes
    ----------
    members
        They differ in their settings.
    """

    members: tuple[Unit, ...]

    def wanted(self) -> Iterator[tuple[str, ItemName]]:
        """Kind and name of every item that is wanted of a member."""
        for member in self.members:
            yield from member.wanted()


def in_batches(units: Sequence[Unit], size: int, done: Callable[[Unit], bool]) -> list[Unit]:
    """Units in batches of at most `size`, those with other weights apart; what is done stays as it is."""
    found: list[Unit] = [unit for unit in units if done(unit)]
    waiting: dict[tuple[str, ...], list[Unit]] = {}
    for unit in units:
        if not done(unit):
            waiting.setdefault(unit.variants, []).append(unit)
    for of in waiting.values():
        found += [_batch(of[start : start + size]) for start in range(0, len(of), size)]
    return found


def _batch(units: Sequence[Unit]) -> Batch:
    first = units[0]
    return Batch(
        key=digest([unit.key for unit in units]),
        compute=first.compute,
        prompt_hash=first.prompt_hash,
        token_ids=(),
        variants=first.variants,
        arguments={},
        outputs=first.outputs,
        settings=tuple(setting for unit in units for setting in unit.settings),
        members=tuple(units),
    )
