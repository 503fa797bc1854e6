"""The ``runtime`` section of ``params.yaml``, typed. Imports no torch."""

from pydantic import Field

from pipeline.params.section import Count, Section


class RuntimeParams(Section):
    """Seed and threads: with the machine they fix the last bit."""

    seed: int = Field(ge=0, lt=2**32)
    threads: Count
