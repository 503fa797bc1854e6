"""The ``names`` section of ``params.yaml``, typed. Imports no torch."""

from typing import Annotated

from pydantic import Field

from pipeline.params.section import Count, Section


class NameParams(Section):
    """Which features judges name, and what their names are held against."""

    features: Count | None
    least_contexts: Annotated[int, Field(ge=1, le=1000)]
    prompts: Count
    confidence: Annotated[float, Field(gt=0, lt=1)]
