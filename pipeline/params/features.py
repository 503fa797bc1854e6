"""The ``features`` section of ``params.yaml``, typed. Imports no torch."""

from collections.abc import Collection
from typing import Annotated

from pydantic import Field, model_validator

from pipeline.params.section import Count, Section, Tag


class FloorParams(Section):
    """The smallest effect that counts as a finding, by unit of the score."""

    logits: float = Field(ge=0, le=1e30)
    dimensionless: float = Field(ge=0, le=1e30)
    activation: float = Field(ge=0, le=1e30)
    pre_activation: float = Field(ge=0, le=1e30)


class FeatureParams(Section):
    """Statistics over features and their strongest contexts."""

    permutations: Count
    labellings: Count
    stop_early: bool = False
    bootstrap: Count
    confidence: float = Field(gt=0, lt=1)
    min_situations: int = Field(ge=2, le=10_000_000)
    fdr: float = Field(gt=0, lt=1)
    floor: FloorParams
    tag: Tag | None
    confound_tag: Tag | None = None
    divergent_only: bool
    by_pivotality: bool = False
    excluded_layers: list[Annotated[int, Field(ge=0, lt=32_768)]]
    edges: Count
    contexts: int = Field(ge=1, le=1000)
    window: int = Field(ge=4, le=65_536)
    bins: int = Field(ge=2, le=1000)
    bin_low: float = Field(ge=1e-30, le=1e30)
    bin_high: float = Field(ge=1e-30, le=1e30)
    promoted: int = Field(ge=1, le=10_000)

    def confounding(self, tags: Collection[str]) -> bool:
        """Whether a prompt of these tags asks for acting, not for harm, and is ranked on by itself."""
        return self.confound_tag is not None and self.confound_tag in tags

    @model_validator(mode="after")
    def _bins_ascend(self) -> "FeatureParams":
        if self.bin_low >= self.bin_high:
            raise ValueError("bin_low must be below bin_high")
        return self
