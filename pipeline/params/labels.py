"""The ``labels`` section of ``params.yaml``, typed. Imports no torch."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline.params.section import Count, Section

Origin = Literal["human", "judge", "lexicon"]


class LabelParams(Section):
    """Whose labels count, what counts as a change, and how agreement is told."""

    order: Annotated[list[Origin], Field(min_length=1, max_length=3)]
    least_change: Annotated[float, Field(ge=0, le=1)]
    bootstrap: Count
    confidence: Annotated[float, Field(gt=0, lt=1)]
    min_situations: Annotated[int, Field(ge=2, le=10_000_000)]

    @model_validator(mode="after")
    def _each_once(self) -> "LabelParams":
        if len(set(self.order)) < len(self.order):
            raise ValueError("order: each of human, judge and lexicon may stand there once")
        return self
