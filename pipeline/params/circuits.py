"""The sections ``circuits`` and ``behaviour_features`` of ``params.yaml``, typed. Imports no torch."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline.params.section import Count, Name, Section, Size

Layer = Annotated[int, Field(ge=0, le=10_000)]
Share = Annotated[float, Field(gt=0, le=1)]
Weight = Annotated[float, Field(ge=0, le=1e30)]


class CircuitParams(Section):
    """Which prompts of behaviours are traced, and what is the same over them."""

    graphs: Size | None
    max_feature_nodes: Count
    batch_size: Size
    node_edges: Size
    least_edge: Weight
    least_activation: Weight
    least_share: Share
    min_groups: int = Field(ge=2, le=10_000)
    permutations: Count
    fdr: float = Field(gt=0, lt=1)
    supernodes: Size


class BehaviourFeatureParams(Section):
    """Where and in which layers features of behaviours' prompts are read, and how many are kept."""

    positions: Literal["last", "last_five", "decision", "all"]
    top: Size
    layers: list[Layer] | None
    bands: dict[Name, Annotated[list[Layer], Field(min_length=2, max_length=2)]]
    values: bool
    batch: Size

    @model_validator(mode="after")
    def _can_be(self) -> "BehaviourFeatureParams":
        if self.layers is not None and (len(set(self.layers)) < len(self.layers) or not self.layers):
            raise ValueError("layers must name each layer once; null takes all")
        for name, (first, last) in self.bands.items():
            if first > last:
                raise ValueError(f"bands.{name}: the first layer, {first}, is behind the last, {last}")
        return self
