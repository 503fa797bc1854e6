"""The ``validation`` section of ``params.yaml``, typed. Imports no torch."""

from pydantic import Field, field_validator

from pipeline.params.section import Count, Section


class ValidationParams(Section):
    """How rankings are held against interventions on other situations."""

    features: Count
    top: int = Field(ge=1, le=1000)
    controls: int = Field(ge=19, le=1000)
    bootstrap: Count
    confidence: float = Field(gt=0, lt=1)

    @field_validator("controls")
    @classmethod
    def _tells_one_in_twenty(cls, controls: int) -> int:
        if (controls + 1) % 20:
            raise ValueError("controls must be 19, 39, 59, ...: others cannot tell one in twenty exactly")
        return controls
