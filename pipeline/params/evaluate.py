"""The ``evaluate`` section of ``params.yaml``, typed. Imports no torch."""

from pydantic import Field

from pipeline.params.section import Section, Size


class EvaluateParams(Section):
    """How continuations are sampled and rated."""

    samples: Size
    max_new_tokens: Size
    temperature: float = Field(gt=0, le=1000)
    confidence: float = Field(gt=0, lt=1)
