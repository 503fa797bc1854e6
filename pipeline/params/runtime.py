"""The ``runtime`` section of ``params.yaml``, typed. Imports no torch."""

from pydantic import Field

from pipeline.params.section import Section, Seed


class RuntimeParams(Section):
    """Seed and threads: with the machine they fix the last bit."""

    seed: Seed
    threads: int = Field(ge=1, le=1024)
