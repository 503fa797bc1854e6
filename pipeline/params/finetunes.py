"""The ``finetunes`` section of ``params.yaml``, typed. Imports no torch."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.params.profiles import Place
from pipeline.params.section import Count, Name, Section, Seed, Size

Module = Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$", max_length=100)]
Layer = Annotated[int, Field(ge=0, lt=1000)]
Positive = Annotated[float, Field(gt=0, le=1e6)]


class FinetuneParams(Section):
    """One LoRA adapter of a profile's model: on which conversations, where, how strongly, how long."""

    profile: Name
    data: Place
    rank: Size
    alpha: Positive
    rslora: bool = False
    targets: list[Module] = Field(min_length=1, max_length=100)
    layers: Annotated[list[Layer], Field(min_length=1)] | None = None
    epochs: Count
    batch: Size
    learning_rate: Positive
    schedule: Literal["constant", "cosine"] = "cosine"
    warmup: float = Field(0.0, ge=0, le=1)
    weight_decay: float = Field(0.0, ge=0, le=1e6)
    clip: Positive | None = None
    held_out_share: float = Field(ge=0, le=0.9)
    max_tokens: int = Field(ge=2, le=1_000_000)
    evaluate_every: Count
    save_every: Count
    seed: Seed
