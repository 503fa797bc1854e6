"""The ``graphs`` section of ``params.yaml``, typed. Imports no torch."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline.params.section import Count, Section, Size, Tag

Share = Annotated[float, Field(gt=0, le=1)]


class GraphParams(Section):
    """How graphs are traced, and what of them is kept."""

    max_n_logits: Size
    desired_logit_prob: Share
    max_feature_nodes: Count
    batch_size: Size
    adapter_components: Size
    every_variant_tag: Tag
    node_threshold: Share
    edge_threshold: Share
    keep_node_threshold: Share
    keep_edges: Count
    trace: Literal["always", "evil"]
    full: Literal["never", "always", "tagged"]
    full_tag: Tag

    @model_validator(mode="after")
    def _keeps_what_is_shown(self) -> "GraphParams":
        if self.keep_node_threshold < self.node_threshold:
            raise ValueError("keep_node_threshold must be at least node_threshold")
        return self
