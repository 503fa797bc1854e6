"""The ``steered`` section of ``params.yaml``, typed. Imports no torch."""

from itertools import pairwise
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from pipeline.params.section import Section, Size
from store.schema.vocabulary import FAITHFUL_ORDERS

Share = Annotated[float, Field(gt=0, le=1)]
Strength = Annotated[float, Field(gt=0, le=10_000)]


class SteeredParams(Section):
    """With what, how strongly and how often models answer open questions under steering."""

    orders: list[str]
    top: int = Field(ge=1, le=1000)
    sets: list[Annotated[int, Field(ge=2, le=1000)]]
    random_features: int = Field(ge=0, le=10_000)
    random_sets: int = Field(ge=0, le=10_000)
    random_directions: int = Field(ge=0, le=10_000)
    null_features: int = Field(ge=0, le=1000)
    coherent: Share
    low: Strength
    high: Strength
    steps: int = Field(ge=1, le=20)
    step_answers: Size
    looks: list[Annotated[float, Field(gt=0, lt=1)]]
    doubt: float = Field(gt=0, lt=0.5)
    doses: list[Share] = Field(min_length=1)
    samples: Size
    control_samples: Size
    batch: Size
    facts: int = Field(ge=0, le=10_000)
    paid_judges: bool
    fdr: float = Field(gt=0, lt=1)
    confidence: float = Field(gt=0, lt=1)

    @field_validator("orders")
    @classmethod
    def _are_known(cls, orders: list[str]) -> list[str]:
        if unknown := sorted(set(orders) - set(FAITHFUL_ORDERS)):
            raise ValueError(
                f"there is no order {', '.join(unknown)}; there are {', '.join(FAITHFUL_ORDERS)}"
            )
        return orders

    @field_validator("looks")
    @classmethod
    def _grow(cls, looks: list[float]) -> list[float]:
        if any(a >= b for a, b in pairwise(looks)):
            raise ValueError("looks must grow from one to the next")
        return looks

    @field_validator("doses")
    @classmethod
    def _end_with_all(cls, doses: list[float]) -> list[float]:
        if doses[-1] != 1 or any(a >= b for a, b in pairwise(doses)):
            raise ValueError("doses must grow from one to the next, and end with 1.0")
        return doses

    @model_validator(mode="after")
    def _apart(self) -> "SteeredParams":
        if self.low >= self.high:
            raise ValueError("low must be below high: the strength is looked for between them")
        return self
