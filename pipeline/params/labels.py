"""The ``labels`` section of ``params.yaml``, typed. Imports no torch."""

import math
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


class QueueParams(Section):
    """Share of each stratum, of the prompts that a person is asked about."""

    evil_divergent: Annotated[float, Field(ge=0, le=1)]
    disagree: Annotated[float, Field(ge=0, le=1)]
    random: Annotated[float, Field(gt=0, le=1)]
    """Of all prompts: without it some could never be drawn, and nothing were known of all."""

    @model_validator(mode="after")
    def _whole(self) -> "QueueParams":
        total = self.evil_divergent + self.disagree + self.random
        if not math.isclose(total, 1.0, abs_tol=1e-6):
            raise ValueError(
                f"the shares of evil_divergent, disagree and random must add up to 1, not {total:.9g}"
            )
        return self


class LabelSection(LabelParams):
    """All of the section: which labels count, and what people are asked, which changes no label."""

    queue: QueueParams
