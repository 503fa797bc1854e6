"""The ``prompts`` section of ``params.yaml``, typed. Imports no torch."""

from pydantic import Field

from pipeline.params.section import Section


class PromptParams(Section):
    """Which prompts are accepted."""

    max_tokens: int = Field(ge=2, le=1_000_000)
