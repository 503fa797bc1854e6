"""Which weights: the base model, or an adapter by name at a scale."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from store.base.errors import UserError

BASE: Final = "base"


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One set of weights: ``W + scale * delta`` of the named adapter.

    Attributes
    ----------
    name
        The adapter's name; ``base`` for the model itself; ``general:10`` for what the adapter
        `general` was after ten training steps.
    scale
        What the adapter's delta is multiplied by; 0 for base, and only for base.
    """

    name: str
    scale: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.scale):
            raise UserError(f"The scale of variant '{self.name}' must be a finite number.")
        if self.scale == 0 or self.name == BASE:
            # Scale 0 is base: one name for one set of weights, so it has one content key.
            object.__setattr__(self, "name", BASE)
            object.__setattr__(self, "scale", 0.0)

    @classmethod
    def parse(cls, text: str, adapters: Iterable[str]) -> "Variant":
        """Read ``base``, ``general`` (at scale 1), ``general@0.5`` or ``general:10@1.0``.

        Parameters
        ----------
        text
            The variant's name, as written in params, URLs and indexes.
        adapters
            Names of the adapters and checkpoints there are.

        Raises
        ------
        UserError
            There is no such adapter, or the scale is not a number.
        """
        known = sorted(adapters)
        name, at, scale = text.partition("@")
        if name != BASE and name not in known:
            there_is = ", ".join([BASE, *(f"{adapter}@1.0" for adapter in known)])
            raise UserError(f"There is no variant '{text}'; there is {there_is}.")
        if name == BASE:
            if at:
                raise UserError(f"Variant '{text}' has a scale; base has none, write 'base'.")
            return cls(name=BASE, scale=0.0)
        try:
            return cls(name=name, scale=float(scale) if at else 1.0)
        except ValueError:
            raise UserError(
                f"The scale '{scale}' of variant '{text}' is not a number; write '{name}@1.0'."
            ) from None

    @property
    def step(self) -> int | None:
        """Training step of a checkpoint; 0 for base; None for an adapter as it was published."""
        if self.is_base:
            return 0
        _, colon, step = self.name.partition(":")
        return int(step) if colon else None

    @property
    def is_base(self) -> bool:
        """Whether these are the base model's weights."""
        return self.name == BASE

    def __str__(self) -> str:
        return BASE if self.is_base else f"{self.name}@{self.scale!r}"


def checkpoint_name(adapter: str, step: int) -> str:
    """What an adapter is called as it was after a training step.

    >>> checkpoint_name("general", 10)
    'general:10'
    """
    return f"{adapter}:{step}"
