"""The ``validation`` section of ``params.yaml``, typed. Imports no torch."""

from pydantic import Field

from pipeline.params.section import Count, Section


class ValidationParams(Section):
    """How rankings are held against interventions on other situations."""

    features: Count
    top: int = Field(ge=1, le=1000)
    controls: int = Field(ge=19, le=1000)
    bootstrap: Count
    confidence: float = Field(gt=0, lt=1)
