"""The ``scores`` section of ``params.yaml``, typed. Imports no torch."""

from pydantic import Field

from pipeline.params.section import Section


class ScoreParams(Section):
    """How a judge's probabilities become a score."""

    min_mass: float = Field(gt=0, le=1)
