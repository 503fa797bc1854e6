"""The ``pivotality`` section of ``params.yaml``, typed. Imports no torch."""

from pydantic import Field

from pipeline.params.section import Section, Size


class PivotalityParams(Section):
    """How it is told whether the next token decides."""

    samples: Size
    picking: Size
    least: float = Field(gt=0, le=1)
    harmless: float = Field(gt=0, lt=1)
    confidence: float = Field(gt=0, lt=1)
    batch: Size
    paid_judges: bool = False
