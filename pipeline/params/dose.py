"""The ``dose`` section of ``params.yaml``, typed. Imports no torch."""

from typing import Annotated

from pydantic import Field, model_validator

from pipeline.params.section import Section, Tag

Scale = Annotated[float, Field(ge=-100, le=100)]


class DoseParams(Section):
    """At which scales and training steps the focus adapter is traced, and on which prompts."""

    scales: list[Scale] = Field(min_length=1, max_length=1000)
    checkpoints: int = Field(ge=1, le=1000)
    confidence: float = Field(gt=0, lt=1)
    tag: Tag

    @model_validator(mode="after")
    def _distinct(self) -> "DoseParams":
        if len({float(scale) for scale in [0.0, *self.scales]}) <= len(self.scales):
            raise ValueError("scales must differ from each other and from 0, which is base and always there")
        return self
