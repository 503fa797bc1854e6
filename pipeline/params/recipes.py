"""The ``recipes`` section of ``params.yaml``, typed. Imports no torch."""

from typing import Annotated

from pydantic import Field

from pipeline.params.section import Section, Size


class RecipeParams(Section):
    """With how few features a recipe keeps its effect, and beside how many controls it stands."""

    reached: list[Annotated[float, Field(gt=0, le=1)]] = Field(min_length=1, max_length=5)
    min_situations: Size
    controls: int = Field(ge=1, le=1000)
