"""The ``features`` section of ``params.yaml``, typed. Imports no torch."""

from pydantic import Field, model_validator

from pipeline.params.section import Count, Section


class FeatureParams(Section):
    """Statistics over features and their strongest contexts."""

    permutations: Count
    bootstrap: Count
    confidence: float = Field(gt=0, lt=1)
    min_situations: int = Field(ge=2)
    fdr: float = Field(gt=0, lt=1)
    edges: Count
    contexts: Count
    window: int = Field(ge=4)
    bins: int = Field(ge=2)
    bin_low: float = Field(gt=0)
    bin_high: float = Field(gt=0)
    promoted: Count

    @model_validator(mode="after")
    def _bins_ascend(self) -> "FeatureParams":
        if self.bin_low >= self.bin_high:
            raise ValueError("bin_low must be below bin_high")
        return self
