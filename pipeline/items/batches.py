"""Units that are computed in one batch, and kept one by one."""

from collections.abc import Callable, Sequence
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
        Each gives items of variants that no other gives.
    """

    members: tuple[Unit, ...]

    def item(self, variant: str) -> ItemName:
        """The name of the member's that gives it."""
        (member,) = [each for each in self.members if any(name == variant for _, name in each.outputs)]
        return member.item(variant)


def in_batches(units: Sequence[Unit], size: int, done: Callable[[Unit], bool]) -> list[Unit]:
    """Units in batches of at most `size`, those with other weights apart; units that are done stay as they are."""
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
        outputs=tuple(output for unit in units for output in unit.outputs),
        members=tuple(units),
    )
