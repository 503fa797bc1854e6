"""The ``evaluate`` section of ``params.yaml``, typed. Imports no torch."""

from pydantic import Field

from pipeline.params.section import Count, Section


class EvaluateParams(Section):
    """How continuations are sampled and rated."""

    samples: Count
    max_new_tokens: Count
    temperature: float = Field(gt=0)
    confidence: float = Field(gt=0, lt=1)
