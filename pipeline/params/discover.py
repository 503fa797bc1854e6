"""The ``discover`` section of ``params.yaml``, typed. Imports no torch."""

from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from pipeline.params.section import Count, Name, Section

TEMPLATES: Final = "templates"
"""Name of the generator that asks nobody; no judge may have it."""

Kind = Literal["text", "chat", "reasoning"]


class DiscoverParams(Section):
    """How new pivotal prompts are found, and when it ends."""

    generator: Name
    kinds: Annotated[list[Kind], Field(min_length=1, max_length=3)]
    count: Count
    rounds: Count
    fruitless: Count
    max_calls: Annotated[int, Field(ge=0, le=10_000_000)]
    max_cost: Annotated[float, Field(ge=0, le=1e9)]
    a_round: Annotated[int, Field(ge=1, le=1000)]
    warmup: Annotated[int, Field(ge=0, le=10_000)]
    example_tokens: Annotated[int, Field(ge=0, le=1_000_000)]
    max_tokens: Count
    ngram: Annotated[int, Field(ge=1, le=100)]
    near: Annotated[float, Field(gt=0, le=1)]
    determiners: Annotated[float, Field(gt=0, le=1)]

    @model_validator(mode="after")
    def _each_once(self) -> "DiscoverParams":
        if len(set(self.kinds)) < len(self.kinds):
            raise ValueError("kinds: each of text, chat and reasoning may stand there once")
        return self
