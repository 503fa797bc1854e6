"""The ``behaviours`` section of ``params.yaml``, typed. Imports no torch."""

from typing import Annotated

from pydantic import Field

from pipeline.params.section import Name, Section, Seed, Size

Nats = Annotated[float, Field(ge=-1000, le=1000)]
Share = Annotated[float, Field(ge=0, le=1)]


class Bar(Section):
    """What a behaviour must reach."""

    success: Nats
    passing: Share


class BehaviourParams(Section):
    """Prompts of behaviours, and when a model is said to have one."""

    train: Size
    test: Size
    test_groups: Size
    seed: Seed
    batch: Size
    confidence: float = Field(gt=0, lt=1)
    bar: Bar
    bars: dict[Name, Bar] = Field(default_factory=dict)

    def bar_of(self, behaviour: str) -> Bar:
        """The behaviour's own bar, or that of all."""
        return self.bars.get(behaviour, self.bar)
