"""The ``faithfulness`` section of ``params.yaml``, typed. Imports no torch."""

from itertools import pairwise

from pydantic import Field, field_validator

from pipeline.params.section import Count, Section
from store.schema.vocabulary import FAITHFUL_ORDERS


class FaithfulnessParams(Section):
    """How much of what the adapter did the first features of each order carry."""

    orders: list[str] = Field(min_length=1)
    ks: list[Count] = Field(min_length=2)
    random_orders: int = Field(ge=19, le=1000)
    matched: int = Field(ge=1, le=1000)
    top: int = Field(ge=1, le=1000)
    steps: int = Field(ge=1, le=1000)
    min_situations: int = Field(ge=2, le=10_000)
    reached: float = Field(gt=0, lt=1)
    silent: float = Field(gt=0, lt=1)
    labellings: Count
    fdr: float = Field(gt=0, lt=1)
    bootstrap: Count
    confidence: float = Field(gt=0, lt=1)

    @field_validator("orders")
    @classmethod
    def _are_known(cls, orders: list[str]) -> list[str]:
        if unknown := sorted(set(orders) - set(FAITHFUL_ORDERS)):
            raise ValueError(
                f"there is no order {', '.join(unknown)}; there are {', '.join(FAITHFUL_ORDERS)}"
            )
        if len(set(orders)) < len(orders):
            raise ValueError("an order stands twice")
        return orders

    @field_validator("ks")
    @classmethod
    def _grow(cls, ks: list[int]) -> list[int]:
        if any(a >= b for a, b in pairwise(ks)):
            raise ValueError("ks must grow from one to the next")
        return ks
