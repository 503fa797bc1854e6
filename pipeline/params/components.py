"""The ``components`` section of ``params.yaml``, typed. Imports no torch."""

from pydantic import Field

from pipeline.params.section import Section


class ComponentParams(Section):
    """How an adapter's LoRA components are held against transcoders."""

    strongest: int = Field(ge=1, le=100)
    level: float = Field(gt=0, lt=1)
