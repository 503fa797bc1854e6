"""The ``misalignment`` section of ``params.yaml``, typed. Imports no torch."""

from pydantic import Field, model_validator

from pipeline.params.section import Section, Seed, Size


class MisalignmentParams(Section):
    """What counts as misaligned, and how it is told."""

    misaligned_below: float = Field(ge=0, le=100)
    coherent_above: float = Field(ge=0, le=100)
    aligned_above: float = Field(ge=0, le=100)
    surface_step: float = Field(ge=0.5, le=50)
    bootstrap: Size
    permutations: Size
    confidence: float = Field(gt=0, lt=1)
    fdr: float = Field(gt=0, lt=1)
    min_answers: Size
    min_firing: Size
    seed: Seed

    @model_validator(mode="after")
    def _apart(self) -> "MisalignmentParams":
        if self.aligned_above < self.misaligned_below:
            raise ValueError("aligned_above must not be below misaligned_below: no answer is both")
        return self
