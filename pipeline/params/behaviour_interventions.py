"""The ``behaviour_interventions`` section of ``params.yaml``, typed. Imports no torch."""

from typing import Annotated

from pydantic import Field, field_validator

from pipeline.params.section import Count, Section, Seed

K = Annotated[int, Field(ge=1, le=100_000)]


class BehaviourInterventionParams(Section):
    """What is done to behaviours' circuits, beside how many random ones, and how it is tested."""

    features: int = Field(ge=1, le=10_000)
    inhibition: float = Field(gt=0, le=1000)
    controls: int = Field(ge=1, le=1000)
    ks: list[K] = Field(min_length=2)
    random_circuits: int = Field(ge=1, le=1000)
    min_active: int = Field(ge=3, le=10_000)
    min_groups: int = Field(ge=2, le=10_000)
    relative_floor: float = Field(gt=0, le=1e30)
    silent: float = Field(ge=0, le=1e30)
    flips: Count
    swaps: Count
    fdr: float = Field(gt=0, lt=1)
    level: float = Field(gt=0, lt=1)
    bootstrap: Count
    confidence: float = Field(gt=0, lt=1)
    seed: Seed
    draw_seed: Seed

    @field_validator("ks")
    @classmethod
    def _ascend(cls, ks: list[int]) -> list[int]:
        if ks != sorted(set(ks)):
            raise ValueError("ks must ascend, each once")
        return ks
