"""The ``mining`` section of ``params.yaml``, typed. Imports no torch."""

from pydantic import Field

from pipeline.params.section import Section, Size


class MiningParams(Section):
    """Which beginnings of answers are tried as prompts."""

    prefixes: Size
    least_divergence: float = Field(ge=0, le=1)
    most: int = Field(ge=2, le=1000)
    least_probability: float = Field(ge=0, lt=1)
    paid_judges: bool
