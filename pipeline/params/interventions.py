"""The ``interventions`` section of ``params.yaml``, typed. Imports no torch."""

from typing import Annotated

from pydantic import Field, field_validator

from pipeline.params.section import Count, Section
from store.schema.vocabulary import SCORES

Factor = Annotated[float, Field(ge=-1000, le=1000)]


class InterventionParams(Section):
    """Which features are intervened on, how, on how many situations, and beside how many controls."""

    orders: list[str] = Field(min_length=1)
    features: int = Field(ge=1, le=10_000)
    pairs: int = Field(ge=0, le=100)
    min_situations: int = Field(ge=2, le=10_000)
    situations: int = Field(ge=2, le=10_000)
    controls: int = Field(ge=1, le=1000)
    positions: int = Field(ge=0, le=1000)
    inhibition: float = Field(gt=0, le=1000)
    factors: list[Factor]
    relative_floor: float = Field(gt=0, le=1e30)
    silent: float = Field(ge=0, le=1e30)
    labellings: Count
    fdr: float = Field(gt=0, lt=1)
    level: float = Field(gt=0, lt=1)
    bootstrap: Count
    confidence: float = Field(gt=0, lt=1)

    @field_validator("orders")
    @classmethod
    def _are_known(cls, orders: list[str]) -> list[str]:
        if unknown := sorted(set(orders) - set(SCORES)):
            raise ValueError(f"there is no order {', '.join(unknown)}; there are {', '.join(SCORES)}")
        return orders

    @field_validator("factors")
    @classmethod
    def _do_something(cls, factors: list[float]) -> list[float]:
        if len({float(factor) for factor in [0.0, 1.0, *factors]}) < len(factors) + 2:
            raise ValueError("factors must differ, also from 1, which does nothing, and 0, which is ablation")
        return factors
